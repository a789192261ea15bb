#include "model/weights.h"

#include "model_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define REAL_CONFIG "data/models/qwen2-audio-7b-instruct.reconstructed.json"
#define REAL_TENSORS "data/models/qwen2-audio-tensors.json"

static struct model_config real_config(void)
{
    json_t *all = load_json_file(REAL_CONFIG);
    char *text = json_dumps(json_object_get(all, "config.json"), 0);
    struct model_config c;
    struct err e = {0};
    assert_true(model_config_parse(&c, text, NULL, NULL, &e));
    free(text);
    json_decref(all);
    return c;
}

static struct model_config tiny_text(void)
{
    struct model_config c;
    struct err e = {0};
    assert_true(model_config_parse(&c, tiny_text_config, NULL, NULL, &e));
    return c;
}

static struct weights *make(const struct model_config *c)
{
    struct err e = {0};
    struct weights *w = weights_new(c, &e);
    if (!w)
        fail_msg("%s", e.text);
    return w;
}

static void slots_of_the_real_model_are_its_876_tensors(void **state)
{
    struct model_config c = real_config();
    struct weights *w = make(&c);
    json_t *list = load_json_file(REAL_TENSORS), *shapes = json_object_get(list, "shapes");
    uint64_t bytes = 0;
    (void)state;
    assert_int_equal(w->slot_count, 876);
    assert_int_equal(json_object_size(shapes), 876);
    for (size_t i = 0; i < w->slot_count; i++) {
        const struct weight_slot *slot = &w->slots[i];
        const json_t *shape = json_object_get(shapes, slot->name);
        uint64_t elements = 1;
        if (!shape)
            fail_msg("%s is not in the model", slot->name);
        assert_int_equal(json_array_size(shape), slot->dims);
        for (int d = 0; d < slot->dims; d++) {
            assert_int_equal(json_integer_value(json_array_get(shape, (size_t)d)), slot->shape[d]);
            elements *= (uint64_t)slot->shape[d];
        }
        assert_int_equal((uint64_t)slot->tensor->rows * (uint64_t)slot->tensor->cols, elements);
        assert_null(slot->tensor->data);
        bytes += elements * dtype_bytes(DTYPE_BF16);
    }
    assert_int_equal(bytes, 16794189824);
    assert_int_equal(bytes, json_integer_value(json_object_get(list, "bytes")));
    json_decref(list);
    weights_free(w);
}

static void every_slot_is_found_by_name_and_points_at_its_own_tensor(void **state)
{
    struct model_config c = real_config();
    struct weights *w = make(&c);
    (void)state;
    for (size_t i = 0; i < w->slot_count; i++) {
        assert_ptr_equal(weights_find(w, w->slots[i].name), &w->slots[i]);
        w->slots[i].tensor->data = &w->slots[i]; /* two slots on one tensor would overwrite each other */
    }
    for (size_t i = 0; i < w->slot_count; i++)
        assert_ptr_equal(w->slots[i].tensor->data, &w->slots[i]);
    assert_null(weights_find(w, ""));
    assert_null(weights_find(w, "language_model.model.layers.32.mlp.up_proj.weight"));
    assert_null(weights_find(w, "audio_tower.layers.0.self_attn.k_proj.bias"));
    weights_free(w);
}

static void slots_come_in_the_order_of_the_forward_pass(void **state)
{
    static const char *const order[] = {
        "audio_tower.conv1.weight",
        "audio_tower.conv2.bias",
        "audio_tower.embed_positions.weight",
        "audio_tower.layers.0.self_attn_layer_norm.weight",
        "audio_tower.layers.0.fc2.bias",
        "audio_tower.layers.1.self_attn_layer_norm.weight",
        "audio_tower.layers.31.fc2.bias",
        "audio_tower.layer_norm.bias",
        "multi_modal_projector.linear.weight",
        "language_model.model.embed_tokens.weight",
        "language_model.model.layers.0.input_layernorm.weight",
        "language_model.model.layers.0.mlp.down_proj.weight",
        "language_model.model.layers.1.input_layernorm.weight",
        "language_model.model.layers.31.mlp.down_proj.weight",
        "language_model.model.norm.weight",
        "language_model.lm_head.weight",
    };
    struct model_config c = real_config();
    struct weights *w = make(&c);
    (void)state;
    assert_string_equal(w->slots[0].name, order[0]);
    for (size_t i = 1; i < sizeof order / sizeof *order; i++)
        assert_true(weights_find(w, order[i - 1]) < weights_find(w, order[i]));
    assert_string_equal(w->slots[w->slot_count - 1].name, "language_model.lm_head.weight");
    weights_free(w);
}

static void members_have_the_shapes_of_their_roles(void **state)
{
    struct model_config c = real_config();
    struct weights *w = make(&c);
    (void)state;
    assert_int_equal(w->conv1.weight.rows, 1280);
    assert_int_equal(w->conv1.weight.cols, 128 * 3);
    assert_int_equal(w->encoder[31].k.bias.cols, 0);
    assert_int_equal(w->encoder[31].fc1.weight.rows, 5120);
    assert_int_equal(w->decoder[0].q.bias.rows, 1);
    assert_int_equal(w->decoder[0].q.bias.cols, 4096);
    assert_int_equal(w->decoder[31].o.bias.cols, 0);
    assert_int_equal(w->decoder[31].down.weight.cols, 11008);
    assert_int_equal(w->head.rows, 156032);
    weights_free(w);
}

static void text_only_names_have_no_prefix_and_a_tied_head_no_slot(void **state)
{
    struct model_config c = tiny_text();
    struct weights *w = make(&c);
    (void)state;
    assert_int_equal(w->slot_count, 1 + 2 * 12 + 1);
    assert_string_equal(w->slots[0].name, "model.embed_tokens.weight");
    assert_non_null(weights_find(w, "model.layers.1.self_attn.k_proj.bias"));
    assert_int_equal(w->decoder[1].k.weight.rows, 24);
    assert_int_equal(w->decoder[1].q.weight.rows, 48);
    assert_null(weights_find(w, "lm_head.weight"));
    assert_int_equal(w->head.rows, 200);
    weights_free(w);

    c.text.tied_head = false;
    w = make(&c);
    assert_non_null(weights_find(w, "lm_head.weight"));
    weights_free(w);
}

static void what_does_not_fit_a_slot_is_refused(void **state)
{
    _Alignas(64) static const float data[48 * 80];
    static const struct {
        uint64_t shape[6];
        int dims;
        enum dtype dtype;
        uint64_t bytes;
        size_t shift;
        const char *message;
    } cases[] = {
        {{80, 96},
         2,
         DTYPE_BF16,
         15360,
         0,
         "tensor model.layers.0.mlp.up_proj.weight: shape [80, 96], expected [80, 48] from config.json"},
        {{48, 80},
         2,
         DTYPE_BF16,
         7680,
         0,
         "tensor model.layers.0.mlp.up_proj.weight: shape [48, 80], expected [80, 48] from config.json"},
        {{3840},
         1,
         DTYPE_BF16,
         7680,
         0,
         "tensor model.layers.0.mlp.up_proj.weight: shape [3840], expected [80, 48] from config.json"},
        {{80, 48, 1},
         3,
         DTYPE_BF16,
         7680,
         0,
         "tensor model.layers.0.mlp.up_proj.weight: shape [80, 48, 1], expected [80, 48] from config.json"},
        {{0},
         0,
         DTYPE_BF16,
         2,
         0,
         "tensor model.layers.0.mlp.up_proj.weight: shape [], expected [80, 48] from config.json"},
        {{UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX},
         6,
         DTYPE_BF16,
         2,
         0,
         "tensor model.layers.0.mlp.up_proj.weight: shape [18446744073709551615, 18446744073709551615, "
         "18446744073709551615, 18446744073709551615, 18446744073709551615, ...], expected [80, 48] from "
         "config.json"},
        {{80, 48},
         2,
         DTYPE_F32,
         7680,
         0,
         "tensor model.layers.0.mlp.up_proj.weight: 7680 bytes, expected 15360 for its shape in F32"},
        {{80, 48},
         2,
         DTYPE_F16,
         7680,
         1,
         "tensor model.layers.0.mlp.up_proj.weight: misaligned, expected a multiple of 2 bytes for F16"},
        {{80, 48},
         2,
         DTYPE_F32,
         15360,
         2,
         "tensor model.layers.0.mlp.up_proj.weight: misaligned, expected a multiple of 4 bytes for F32"},
    };
    struct model_config c = tiny_text();
    struct weights *w = make(&c);
    struct weight_slot *slot = weights_find(w, "model.layers.0.mlp.up_proj.weight");
    struct err e = {0};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_false(weights_fill(slot, cases[i].dtype, cases[i].shape, cases[i].dims,
                                  (const char *)data + cases[i].shift, cases[i].bytes, &e));
        assert_string_equal(e.text, cases[i].message);
        assert_int_equal(e.kind, ERR_CORRUPT);
        assert_null(slot->tensor->data);
    }
    assert_true(weights_fill(slot, DTYPE_F32, (uint64_t[]){80, 48}, 2, data, 15360, &e));
    assert_ptr_equal(w->decoder[0].up.weight.data, data);
    assert_int_equal(w->decoder[0].up.weight.dtype, DTYPE_F32);
    assert_int_equal(weights_bytes(w), 15360);
    assert_false(weights_fill(slot, DTYPE_F32, (uint64_t[]){80, 48}, 2, data, 15360, &e));
    assert_string_equal(e.text, "tensor model.layers.0.mlp.up_proj.weight: given twice, expected once");
    weights_free(w);
}

static bool fill(struct weight_slot *slot, const void *data)
{
    struct err e = {0};
    uint64_t shape[3] = {0}, bytes = 2;
    for (int d = 0; d < slot->dims; d++) {
        shape[d] = (uint64_t)slot->shape[d];
        bytes *= shape[d];
    }
    return weights_fill(slot, DTYPE_BF16, shape, slot->dims, data, bytes, &e);
}

static void first_missing_tensor_is_named_and_a_tied_head_gets_the_embedding(void **state)
{
    static const uint16_t data[200 * 48];
    struct model_config c = tiny_text();
    struct weights *w = make(&c);
    struct err e = {0};
    (void)state;
    for (size_t i = 0; i < w->slot_count; i++) {
        char expected[200];
        snprintf(expected, sizeof expected, "tensor %s: missing, config.json asks for 26 tensors",
                 w->slots[i].name);
        assert_false(weights_complete(w, &c, &e));
        assert_string_equal(e.text, expected);
        assert_true(fill(&w->slots[i], data));
    }
    assert_null(w->head.data);
    assert_true(weights_complete(w, &c, &e));
    assert_ptr_equal(w->head.data, w->embedding.data);
    assert_int_equal(w->head.cols, 48);
    weights_free(w);
    weights_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_does_not_fit_a_slot_is_refused),
        cmocka_unit_test(first_missing_tensor_is_named_and_a_tied_head_gets_the_embedding),
        cmocka_unit_test(slots_of_the_real_model_are_its_876_tensors),
        cmocka_unit_test(every_slot_is_found_by_name_and_points_at_its_own_tensor),
        cmocka_unit_test(slots_come_in_the_order_of_the_forward_pass),
        cmocka_unit_test(members_have_the_shapes_of_their_roles),
        cmocka_unit_test(text_only_names_have_no_prefix_and_a_tied_head_no_slot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
