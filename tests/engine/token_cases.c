#include "token_cases.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct ids encode(const struct tokenizer *t, const char *text, size_t size, enum token_specials how)
{
    struct ids ids = {0};
    struct err e = {0};
    if (!tokenizer_encode(t, text, size, how, &ids, &e))
        fail_msg("%s", e.text);
    return ids;
}

char *decode(const struct tokenizer *t, const int *ids, size_t count, bytes_fn *bytes_of, size_t *size)
{
    struct detokenizer d = {0};
    char *out = malloc(16);
    *size = 0;
    for (size_t i = 0; i < count; i++) {
        size_t n;
        const char *bytes = bytes_of(t, ids[i], &n);
        out = realloc(out, *size + detokenizer_room(n) + 16);
        assert_non_null(out);
        *size += detokenizer_push(&d, bytes, n, out + *size);
    }
    *size += detokenizer_finish(&d, out + *size);
    return out;
}

static size_t read_ids(const json_t *array, int *ids, size_t room)
{
    size_t n = json_array_size(array);
    assert_true(n <= room);
    for (size_t i = 0; i < n; i++)
        ids[i] = (int)json_integer_value(json_array_get(array, i));
    return n;
}

static void check_decoded(const struct tokenizer *t, const json_t *golden, const char *key,
                          bytes_fn *bytes_of)
{
    int ids[4096];
    size_t count = read_ids(json_object_get(golden, "ids"), ids, 4096), size;
    char *text = decode(t, ids, count, bytes_of, &size);
    const json_t *want = json_object_get(golden, key);
    assert_int_equal(size, json_string_length(want));
    assert_memory_equal(text, json_string_value(want), size);
    free(text);
}

static void check_encoded(const struct tokenizer *t, const json_t *golden)
{
    const json_t *text = json_object_get(golden, "text"), *want = json_object_get(golden, "ids");
    struct ids ids = encode(t, json_string_value(text), json_string_length(text), SPECIALS_AS_TOKENS);
    if (ids.count != json_array_size(want))
        fail_msg("\"%s\": %zu ids, expected %zu", json_string_value(text), ids.count, json_array_size(want));
    for (size_t i = 0; i < ids.count; i++)
        if (ids.data[i] != json_integer_value(json_array_get(want, i)))
            fail_msg("\"%s\": id %zu is %d", json_string_value(text), i, ids.data[i]);
    ids_clear(&ids);
}

void every_golden_is_met(const struct tokenizer *t)
{
    json_t *root = text_data_json("data/goldens/tokenizer.json"), *golden;
    size_t i;
    json_array_foreach(json_object_get(root, "encode"), i, golden)
    {
        check_encoded(t, golden);
        check_decoded(t, golden, "decoded", tokenizer_name);
        check_decoded(t, golden, "decoded_skip_special", tokenizer_bytes);
    }
    assert_int_equal(i, 150);
    json_array_foreach(json_object_get(root, "decode"), i, golden)
    {
        check_decoded(t, golden, "decoded", tokenizer_name);
        check_decoded(t, golden, "decoded_skip_special", tokenizer_bytes);
    }
    assert_int_equal(i, 40);
    json_decref(root);
}

void load_files(struct folder_files *d, const char *folder)
{
    char path[256];
    *d = (struct folder_files){0};
    snprintf(path, sizeof path, "%s/vocab.json", folder);
    d->f.vocab.data = d->vocab = text_data_file(path, &d->f.vocab.size);
    snprintf(path, sizeof path, "%s/merges.txt", folder);
    d->f.merges.data = d->merges = text_data_file(path, &d->f.merges.size);
    snprintf(path, sizeof path, "%s/tokenizer_config.json", folder);
    d->f.config.data = d->config = text_data_file(path, &d->f.config.size);
}

void free_files(struct folder_files *d)
{
    free(d->vocab);
    free(d->merges);
    free(d->config);
    free(d->json);
}

struct token_file file_of(const char *text)
{
    return (struct token_file){text, strlen(text)};
}

struct tokenizer *parse_files(const struct token_files *f, int vocab)
{
    struct err e = {0};
    struct tokenizer *t = tokenizer_parse(f, vocab, &e);
    if (!t)
        fail_msg("%s", e.text);
    return t;
}
