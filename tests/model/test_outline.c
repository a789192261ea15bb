/* Sizes of configs of many families, and of what is none. */
#include "model/outline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *config;
    struct model_outline is;
} cases[] = {
    {"{}", {.layers = 0}},
    {"{\"model_type\":\"llama\",\"torch_dtype\":\"bfloat16\",\"num_hidden_layers\":32,\"num_attention_"
     "heads\":32,"
     "\"num_key_value_heads\":8,\"hidden_size\":4096,\"max_position_embeddings\":8192}",
     {"llama", "bfloat16", 32, 8, 128, 8192, true}},
    /* no grouping; the newer name of the dtype */
    {"{\"model_type\":\"gpt\",\"dtype\":\"float16\",\"num_hidden_layers\":2,\"num_attention_heads\":4,"
     "\"hidden_size\":64}",
     {"gpt", "float16", 2, 4, 16, 0, true}},
    /* heads wider than hidden / heads, as Gemma has them */
    {"{\"num_hidden_layers\":2,\"num_attention_heads\":4,\"hidden_size\":64,\"head_dim\":256}",
     {"", "", 2, 4, 256, 0, true}},
    {"{\"model_type\":\"llava\",\"text_config\":{\"num_hidden_layers\":3,\"num_attention_heads\":2,\"hidden_"
     "size\":8}}",
     {"llava", "", 3, 2, 4, 0, true}},
    /* compressed keys; states instead of keys */
    {"{\"num_hidden_layers\":3,\"num_attention_heads\":2,\"hidden_size\":8,\"kv_lora_rank\":512}",
     {"", "", 3, 2, 4, 0, false}},
    {"{\"num_hidden_layers\":3,\"num_attention_heads\":2,\"hidden_size\":8,\"mamba_d_state\":16}",
     {"", "", 3, 2, 4, 0, false}},
    {"{\"num_hidden_layers\":3,\"num_attention_heads\":2,\"hidden_size\":8,\"kv_lora_rank\":null}",
     {"", "", 3, 2, 4, 0, true}},
    /* no sizes at all */
    {"{\"num_hidden_layers\":-3,\"num_attention_heads\":\"2\",\"hidden_size\":1e9,\"head_dim\":99999999}",
     {.layers = 0}},
    /* what would command a terminal */
    {"{\"model_type\":\"a\\u001b[2J\",\"torch_dtype\":7}", {.layers = 0}},
    {"{\"model_type\":\"0123456789012345678901234567890123456789012345678901234567890123\"}", {.layers = 0}},
};

static void sizes_are_found_where_families_have_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct model_outline o;
        const struct model_outline *is = &cases[i].is;
        assert_true(model_outline_parse(&o, cases[i].config, NULL));
        assert_string_equal(o.type, is->type);
        assert_string_equal(o.dtype, is->dtype);
        if (o.layers != is->layers || o.kv_heads != is->kv_heads || o.head_dim != is->head_dim ||
            o.max_positions != is->max_positions || o.plain_cache != is->plain_cache)
            fail_msg("%s: %d layers, %d heads of %d, %d positions", cases[i].config, o.layers, o.kv_heads,
                     o.head_dim, o.max_positions);
    }
}

static void what_is_no_object_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "[]", "7", "{\"a\":", "{} x"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct model_outline o;
        struct err e = {0};
        assert_false(model_outline_parse(&o, texts[i], &e));
        assert_int_equal(e.kind, ERR_CORRUPT);
        assert_non_null(strstr(e.text, "config.json: "));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_found_where_families_have_them),
        cmocka_unit_test(what_is_no_object_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
