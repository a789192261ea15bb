#include "model/folder.h"

#include "model_files.h"

#include "base/file.h"
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define SHARD_1 "model-00001-of-00003.safetensors"
#define SHARD_2 "model-00002-of-00003.safetensors"
#define INDEX "model.safetensors.index.json"

static const enum folder_memory ways[] = {FOLDER_AUTO, FOLDER_MAP, FOLDER_READ};

/* The folder must be refused with this message behind its path, and nothing be left open. */
static void assert_refused(const struct scratch *s, enum err_kind kind, const char *message)
{
    for (size_t i = 0; i < 3; i++) {
        struct model m;
        struct err e = {0};
        char expected[2000];
        assert_false(model_open(&m, scratch_path(s), ways[i], NULL, &e));
        snprintf(expected, sizeof expected, "%s: %s", scratch_path(s), message);
        assert_string_equal(e.text, expected);
        assert_int_equal(e.kind, kind);
        assert_null(m.weights);
        assert_null(m.folder);
    }
}

static void open_or_fail(struct model *m, const char *path, enum folder_memory memory, struct pool *pool)
{
    struct err e = {0};
    if (!model_open(m, path, memory, pool, &e))
        fail_msg("%s", e.text);
}

/* One tensor of a text-only model that is not as the config says. */
static const struct {
    struct model_change change;
    enum err_kind kind;
    const char *message; /* NULL: fine */
} changed[] = {
    {{.tensor = "model.layers.1.mlp.down_proj.weight", .skip = true},
     ERR_CORRUPT,
     "tensor model.layers.1.mlp.down_proj.weight: missing, config.json asks for 26 tensors"},
    {{.tensor = "model.norm.weight", .name = "model.final_norm.weight"},
     ERR_UNSUPPORTED,
     "model.safetensors: tensor model.final_norm.weight: not part of the model that config.json describes, "
     "26 tensors "
     "expected"},
    {{.extra = "model.layers.2.input_layernorm.weight"},
     ERR_UNSUPPORTED,
     "model.safetensors: tensor model.layers.2.input_layernorm.weight: not part of the model that "
     "config.json "
     "describes, 26 tensors expected"},
    {{.extra = "vision_tower.lm_head.weight"},
     ERR_UNSUPPORTED,
     "model.safetensors: tensor vision_tower.lm_head.weight: not part of the model that config.json "
     "describes, 26 "
     "tensors expected"},
    {{.tensor = "model.layers.0.mlp.up_proj.weight", .dims = 2, .shape = {48, 80}},
     ERR_CORRUPT,
     "model.safetensors: tensor model.layers.0.mlp.up_proj.weight: shape [48, 80], expected [80, 48] from "
     "config.json"},
    {{.tensor = "model.embed_tokens.weight", .dims = 2, .shape = {201, 48}},
     ERR_CORRUPT,
     "model.safetensors: tensor model.embed_tokens.weight: shape [201, 48], expected [200, 48] from "
     "config.json"},
    {{.tensor = "model.norm.weight", .dtype = "F64", .bits = 64},
     ERR_UNSUPPORTED,
     "model.safetensors: tensor model.norm.weight: dtype F64, expected BF16, F16 or F32"},
    {{.tensor = "model.norm.weight", .dtype = "F8_E4M3", .bits = 8},
     ERR_UNSUPPORTED,
     "model.safetensors: tensor model.norm.weight: dtype F8_E4M3, expected BF16, F16 or F32"},
    {{.tensor = "model.norm.weight", .dtype = "F32", .bits = 32}, ERR_NONE, NULL},
    {{.extra = "lm_head.weight"}, ERR_NONE, NULL}, /* stored although tied */
    {{.extra = "model.layers.1.self_attn.rotary_emb.inv_freq"}, ERR_NONE, NULL},
};

static void tensor_that_the_config_does_not_describe_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof changed / sizeof *changed; i++) {
        struct scratch *s = scratch_new();
        scratch_write_model(s, tiny_text_config, DTYPE_BF16, &changed[i].change);
        if (changed[i].message) {
            assert_refused(s, changed[i].kind, changed[i].message);
        } else {
            struct model m;
            open_or_fail(&m, scratch_path(s), FOLDER_AUTO, NULL);
            assert_ptr_equal(m.weights->head.data, m.weights->embedding.data);
            model_close(&m);
        }
        scratch_free(s);
    }
}

/* One entry of the tiny audio model's index replaced (NULL: removed). */
static const struct {
    const char *tensor, *shard;
    enum err_kind kind;
    const char *message;
} indexed[] = {
    {"language_model.model.embed_tokens.weight", "\"" SHARD_1 "\"", ERR_CORRUPT,
     SHARD_2 ": tensor language_model.model.embed_tokens.weight: found here, but " INDEX
             " lists it in " SHARD_1},
    {"language_model.model.embed_tokens.weight", NULL, ERR_CORRUPT,
     SHARD_2 ": tensor language_model.model.embed_tokens.weight: not listed in " INDEX},
    {"language_model.model.rotary", "\"" SHARD_2 "\"", ERR_CORRUPT,
     INDEX ": lists 79 tensors, expected 78 as the shards hold"},
    {"language_model.model.embed_tokens.weight", "\"" INDEX "\"", ERR_CORRUPT,
     INDEX ": tensor language_model.model.embed_tokens.weight: shard " INDEX
           ", expected the plain name of a .safetensors file in the folder"},
    {"language_model.model.embed_tokens.weight", "\"../" SHARD_1 "\"", ERR_CORRUPT,
     INDEX ": tensor language_model.model.embed_tokens.weight: shard ../" SHARD_1
           ", expected the plain name of a .safetensors file in the folder"},
    {"language_model.model.embed_tokens.weight", "\"folder.safetensors\"", ERR_CORRUPT,
     "folder.safetensors: not a regular file"},
    {"language_model.model.embed_tokens.weight", "\"fifo.safetensors\"", ERR_CORRUPT,
     "fifo.safetensors: not a regular file"},
    {"language_model.model.embed_tokens.weight", "\"none.safetensors\"", ERR_NOT_FOUND,
     "none.safetensors: open: No such file or directory"},
    {"language_model.model.embed_tokens.weight", "\"loop.safetensors\"", ERR_IO,
     "loop.safetensors: open: Too many levels of symbolic links"},
};

static void make_odd_shards(const struct scratch *s)
{
    char path[600];
    scratch_file(s, path, sizeof path, "folder.safetensors");
    assert_int_equal(mkdir(path, 0700), 0);
    scratch_file(s, path, sizeof path, "fifo.safetensors");
    assert_int_equal(mkfifo(path, 0600), 0);
    scratch_file(s, path, sizeof path, "loop.safetensors");
    assert_int_equal(symlink("loop.safetensors", path), 0);
}

static void index_that_does_not_tell_the_truth_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof indexed / sizeof *indexed; i++) {
        struct scratch *s = scratch_new();
        json_t *index = load_json_file(TINY_AUDIO "/" INDEX), *map = json_object_get(index, "weight_map");
        scratch_link_tiny_audio(s);
        make_odd_shards(s);
        if (indexed[i].shard)
            json_object_set_new(map, indexed[i].tensor, json_loads(indexed[i].shard, JSON_DECODE_ANY, NULL));
        else
            json_object_del(map, indexed[i].tensor);
        scratch_write_json(s, INDEX, index);
        assert_refused(s, indexed[i].kind, indexed[i].message);
        json_decref(index);
        scratch_free(s);
    }
}

/* A shard without one of the tensors that the index lists for it. */
static void tensor_missing_from_its_shard_is_refused_with_the_shard(void **state)
{
    struct scratch *s = scratch_new();
    struct layout l;
    (void)state;
    layout_begin(&l);
    layout_add(&l, "model.norm.weight", "BF16", 16, (int[]){48}, 1);
    scratch_write_safetensors(s, "model-1.safetensors", l.header, l.bytes);
    layout_end(&l);
    scratch_write(s, "config.json", tiny_text_config, strlen(tiny_text_config));
    static const char index[] = "{\"weight_map\":{\"model.norm.weight\":\"model-1.safetensors\","
                                "\"model.embed_tokens.weight\":\"model-1.safetensors\"}}";
    scratch_write(s, INDEX, index, sizeof index - 1);
    assert_refused(s, ERR_CORRUPT,
                   "model-1.safetensors: tensor model.embed_tokens.weight: missing, " INDEX " lists it here");
    scratch_free(s);
}

static void folder_without_weights_is_refused(void **state)
{
    struct scratch *s = scratch_new();
    (void)state;
    scratch_write(s, "config.json", tiny_text_config, strlen(tiny_text_config));
    assert_refused(s, ERR_NOT_FOUND,
                   "neither model.safetensors nor " INDEX
                   " here: expected a folder with safetensors weights");
    scratch_free(s);
}

static void path_that_is_no_folder_is_refused(void **state)
{
    char longest[5000];
    struct model m;
    struct err e = {0};
    (void)state;
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_false(model_open(&m, longest, FOLDER_AUTO, NULL, &e));
    assert_string_equal(e.text, "model folder: a path of 4999 bytes, expected 1 to 4095");
    assert_false(model_open(&m, "", FOLDER_AUTO, NULL, &e));
    assert_string_equal(e.text, "model folder: a path of 0 bytes, expected 1 to 4095");
    assert_int_equal(e.kind, ERR_USAGE);
    assert_false(model_open(&m, "data/models/none", FOLDER_AUTO, NULL, &e));
    assert_string_equal(e.text, "data/models/none/config.json: No such file or directory");
    assert_false(model_open(&m, TINY_AUDIO "/config.json", FOLDER_AUTO, NULL, &e));
    assert_string_equal(e.text, TINY_AUDIO "/config.json/config.json: Not a directory");
    model_close(&m);
}

static void truncated_shard_is_refused_with_bytes_there_and_expected(void **state)
{
    struct scratch *s = scratch_new();
    struct arena *a = arena_new(1 << 20);
    struct err e = {0};
    size_t size;
    (void)state;
    const char *bytes = file_read(a, TINY_AUDIO "/" SHARD_2, 1 << 20, &size, &e);
    assert_int_equal(size, 425816);
    scratch_link_tiny_audio(s);
    scratch_write(s, SHARD_2, bytes, 400000);
    assert_refused(s, ERR_CORRUPT,
                   SHARD_2
                   ": 400000 bytes in the file, expected 425816, where tensor "
                   "language_model.model.layers.1.self_attn.v_proj.weight ends: truncated, fetch it again");
    scratch_write(s, SHARD_2, bytes, 2391);
    assert_refused(s, ERR_CORRUPT,
                   SHARD_2 ": header of 2384 bytes, but the file has 2391: truncated, fetch it again");
    scratch_write(s, SHARD_2, bytes, 7);
    assert_refused(s, ERR_CORRUPT, SHARD_2 ": ends at byte 7, expected 8: truncated, fetch it again");
    scratch_write(s, SHARD_2, bytes, 0);
    assert_refused(s, ERR_CORRUPT, SHARD_2 ": ends at byte 0, expected 8: truncated, fetch it again");
    for (size_t n = 0; n < size; n += 997) { /* wherever it is cut */
        struct model m;
        scratch_write(s, SHARD_2, bytes, n);
        assert_false(model_open(&m, scratch_path(s), FOLDER_AUTO, NULL, &e));
    }
    scratch_write(s, SHARD_2, bytes, size);
    struct model m;
    open_or_fail(&m, scratch_path(s), FOLDER_AUTO, NULL);
    model_close(&m);
    arena_free(a);
    scratch_free(s);
}

static void tiny_folder_opens_with_every_slot_filled(void **state)
{
    struct model m[3];
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        open_or_fail(&m[i], TINY_AUDIO, ways[i], NULL);
        assert_int_equal(m[i].weights->slot_count, 78);
        assert_int_equal(weights_bytes(m[i].weights), 1337888);
        assert_string_equal(m[i].name, "tiny-qwen2-audio");
        assert_string_equal(m[i].path, TINY_AUDIO);
        assert_int_equal(m[i].config.family, MODEL_QWEN2_AUDIO);
    }
    for (size_t i = 0; i < 78; i++) {
        const struct tensor *mapped = m[1].weights->slots[i].tensor,
                            *was_read = m[2].weights->slots[i].tensor;
        size_t bytes = (size_t)mapped->rows * (size_t)mapped->cols * 2;
        assert_int_equal(mapped->dtype, DTYPE_BF16);
        assert_ptr_not_equal(mapped->data, was_read->data);
        assert_memory_equal(mapped->data, was_read->data, bytes);
    }
    for (size_t i = 0; i < 3; i++) {
        model_close(&m[i]);
        model_close(&m[i]);
    }
}

static void last_part_of_the_path_names_the_model(void **state)
{
    static const char *const tails[] = {"", "/", "///", "/.", "/./"};
    struct scratch *s = scratch_new();
    const char *last = strrchr(scratch_path(s), '/') + 1;
    (void)state;
    scratch_write_model(s, tiny_text_config, DTYPE_BF16, NULL);
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        struct model m;
        char path[600];
        snprintf(path, sizeof path, "%s%s", scratch_path(s), tails[i]);
        open_or_fail(&m, path, FOLDER_AUTO, NULL);
        assert_string_equal(m.name, last);
        model_close(&m);
    }
    scratch_free(s);
}

/* Each byte of a written model is a function of its place: so is the tensor that lies there. */
static void assert_bytes_in_place(const struct model *m)
{
    size_t at = 0;
    for (size_t i = 0; i < m->weights->slot_count; i++) {
        const struct tensor *t = m->weights->slots[i].tensor;
        const unsigned char *bytes = t->data;
        size_t n = (size_t)t->rows * (size_t)t->cols * dtype_bytes(t->dtype), wrong = 0;
        assert_int_equal((uintptr_t)bytes % dtype_bytes(t->dtype), 0);
        for (size_t k = 0; k < n; k++)
            wrong += bytes[k] != (unsigned char)((at + k) * 31);
        assert_int_equal(wrong, 0);
        at += n;
    }
}

static void text_only_folder_of_every_dtype_opens(void **state)
{
    static const enum dtype dtypes[] = {DTYPE_BF16, DTYPE_F16, DTYPE_F32};
    (void)state;
    for (size_t d = 0; d < 3; d++) {
        struct scratch *s = scratch_new();
        scratch_write_model(s, tiny_text_config, dtypes[d], NULL);
        for (size_t i = 0; i < 3; i++) {
            struct model m;
            open_or_fail(&m, scratch_path(s), ways[i], NULL);
            assert_int_equal(m.config.family, MODEL_QWEN2);
            assert_int_equal(m.weights->decoder[1].gate.weight.dtype, dtypes[d]);
            assert_ptr_equal(m.weights->head.data, m.weights->embedding.data);
            assert_bytes_in_place(&m);
            model_close(&m);
        }
        scratch_free(s);
    }
}

/* Some pieces of 8 MiB and a rest, by one, two and five threads. */
static void large_folder_is_read_by_many_threads(void **state)
{
    static const int threads[] = {1, 2, 5};
    struct scratch *s = scratch_new();
    json_t *config = json_loads(tiny_text_config, 0, NULL);
    (void)state;
    json_patch(config, "vocab_size", "200000");
    char *text = json_dumps(config, 0);
    scratch_write_model(s, text, DTYPE_F32, NULL);
    for (size_t i = 0; i < 3; i++) {
        struct err e = {0};
        struct pool *pool = pool_new(threads[i], &e);
        struct model m;
        open_or_fail(&m, scratch_path(s), FOLDER_READ, pool);
        assert_bytes_in_place(&m);
        model_close(&m);
        pool_free(pool);
    }
    free(text);
    json_decref(config);
    scratch_free(s);
}

static void one_file_wins_over_an_index_beside_it(void **state)
{
    struct scratch *s = scratch_new();
    struct model m;
    (void)state;
    scratch_write_model(s, tiny_text_config, DTYPE_BF16, NULL);
    scratch_write(s, INDEX, "broken", 6);
    open_or_fail(&m, scratch_path(s), FOLDER_AUTO, NULL);
    model_close(&m);
    scratch_free(s);
}

/* Hugging Face's cache: snapshots/REVISION/NAME -> ../../blobs/HASH. */
static void folder_of_links_opens(void **state)
{
    struct scratch *s = scratch_new();
    struct model m;
    (void)state;
    scratch_link_tiny_audio(s);
    open_or_fail(&m, scratch_path(s), FOLDER_READ, NULL);
    assert_int_equal(weights_bytes(m.weights), 1337888);
    model_close(&m);
    scratch_free(s);
}

static int be_quiet(void **state)
{
    (void)state;
    log_set_level(LOG_ERROR);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensor_that_the_config_does_not_describe_is_refused),
        cmocka_unit_test(index_that_does_not_tell_the_truth_is_refused),
        cmocka_unit_test(tensor_missing_from_its_shard_is_refused_with_the_shard),
        cmocka_unit_test(truncated_shard_is_refused_with_bytes_there_and_expected),
        cmocka_unit_test(folder_without_weights_is_refused),
        cmocka_unit_test(path_that_is_no_folder_is_refused),
        cmocka_unit_test(tiny_folder_opens_with_every_slot_filled),
        cmocka_unit_test(text_only_folder_of_every_dtype_opens),
        cmocka_unit_test(large_folder_is_read_by_many_threads),
        cmocka_unit_test(one_file_wins_over_an_index_beside_it),
        cmocka_unit_test(folder_of_links_opens),
        cmocka_unit_test(last_part_of_the_path_names_the_model),
    };
    return cmocka_run_group_tests(tests, be_quiet, NULL);
}
