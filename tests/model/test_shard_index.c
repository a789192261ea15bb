#include "model/shard_index.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *text;
    enum err_kind kind;
    const char *message;
} refused[] = {
    {"{\"weight_map\":{\"a\":\"../other/model.safetensors\"}}", ERR_CORRUPT,
     "tensor a: shard ../other/model.safetensors, expected the plain name of a .safetensors file in the "
     "folder"},
    {"{\"weight_map\":{\"a\":\"/etc/model.safetensors\"}}", ERR_CORRUPT,
     "tensor a: shard /etc/model.safetensors, expected the plain name of a .safetensors file in the folder"},
    {"{\"weight_map\":{\"a\":\"model.safetensors.index.json\"}}", ERR_CORRUPT,
     "tensor a: shard model.safetensors.index.json, expected the plain name of a .safetensors file in the "
     "folder"},
    {"{\"weight_map\":{\"a\":\".\"}}", ERR_CORRUPT,
     "tensor a: shard ., expected the plain name of a .safetensors file in the folder"},
    {"{\"weight_map\":{\"a\":\"..\"}}", ERR_CORRUPT,
     "tensor a: shard .., expected the plain name of a .safetensors file in the folder"},
    {"{\"weight_map\":{\"a\":\".safetensors\"}}", ERR_CORRUPT,
     "tensor a: shard .safetensors, expected the plain name of a .safetensors file in the folder"},
    {"{\"weight_map\":{\"a\":\"\"}}", ERR_CORRUPT,
     "tensor a: shard , expected the plain name of a .safetensors file in the folder"},
    {"{\"weight_map\":{\"a\":1}}", ERR_CORRUPT,
     "tensor a: shard is not a string, expected the plain name of a .safetensors file in the folder"},
    {"{\"weight_map\":{\"a\":\"x.safetensors\",\n\"a\":\"y.safetensors\"}}", ERR_CORRUPT,
     "line 2: duplicate object key near '\"a\"', expected JSON"},
    {"{\"weight_map\":{}}", ERR_CORRUPT, "weight_map is missing or empty, expected {tensor: shard}"},
    {"{\"weight_map\":[\"x.safetensors\"]}", ERR_CORRUPT,
     "weight_map is missing or empty, expected {tensor: shard}"},
    {"{}", ERR_CORRUPT, "weight_map is missing or empty, expected {tensor: shard}"},
    {"[]", ERR_CORRUPT, "weight_map is missing or empty, expected {tensor: shard}"},
    {"", ERR_CORRUPT, "line 1: '[' or '{' expected near end of file, expected JSON"},
};

static void hostile_index_is_refused_with_the_tensor_and_what_was_expected(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct shard_index x;
        struct err e = {0};
        assert_false(shard_index_parse(&x, refused[i].text, strlen(refused[i].text), &e));
        assert_string_equal(e.text, refused[i].message);
        assert_int_equal(e.kind, refused[i].kind);
        assert_null(x.shards);
        shard_index_clear(&x);
    }
}

/* Tensor i lies in shard i % shards. */
static size_t print_index(char *text, size_t room, int tensors, int shards)
{
    size_t n = (size_t)snprintf(text, room, "{\"weight_map\":{");
    for (int i = 0; i < tensors; i++)
        n += (size_t)snprintf(text + n, room - n, "%s\"t%d\":\"model-%d.safetensors\"", i ? "," : "", i,
                              i % shards);
    return n + (size_t)snprintf(text + n, room - n, "}}");
}

static void too_many_shards_are_refused(void **state)
{
    static char text[1 << 16];
    struct shard_index x;
    struct err e = {0};
    (void)state;
    size_t n = print_index(text, sizeof text, 300, SHARD_INDEX_MAX_SHARDS);
    assert_true(shard_index_parse(&x, text, n, &e));
    assert_int_equal(x.count, SHARD_INDEX_MAX_SHARDS);
    shard_index_clear(&x);

    n = print_index(text, sizeof text, 300, SHARD_INDEX_MAX_SHARDS + 1);
    assert_false(shard_index_parse(&x, text, n, &e));
    assert_int_equal(e.kind, ERR_LIMIT);
    assert_string_equal(e.text, "more than 256 shards, expected at most that many");
}

static void each_shard_is_listed_once_and_found_by_tensor(void **state)
{
    static char text[1 << 16];
    struct shard_index x;
    struct err e = {0};
    (void)state;
    assert_true(shard_index_parse(&x, text, print_index(text, sizeof text, 1000, 3), &e));
    assert_int_equal(x.count, 3);
    assert_int_equal(x.tensors, 1000);
    for (int i = 0; i < 1000; i++) {
        char tensor[20], shard[40];
        snprintf(tensor, sizeof tensor, "t%d", i);
        snprintf(shard, sizeof shard, "model-%d.safetensors", i % 3);
        assert_string_equal(shard_index_find(&x, tensor), shard);
    }
    assert_null(shard_index_find(&x, "t1000"));
    assert_null(shard_index_find(&x, ""));
    shard_index_clear(&x);
    shard_index_clear(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_index_is_refused_with_the_tensor_and_what_was_expected),
        cmocka_unit_test(too_many_shards_are_refused),
        cmocka_unit_test(each_shard_is_listed_once_and_found_by_tensor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
