/* Tokenizer files: the input is tokenizer.json, or with NUL bytes in it vocab.json, merges.txt and
 * tokenizer_config.json one behind the other. What is accepted must encode any text and give it back, and be
 * told again with every token and merge that it has. */
#include "engine/text/parts.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROWS = 2000 };

static struct token_file take(const uint8_t **data, size_t *size)
{
    const uint8_t *end = memchr(*data, 0, *size);
    size_t n = end ? (size_t)(end - *data) : *size, used = end ? n + 1 : n;
    struct token_file f = {(const char *)*data, n};
    *data += used;
    *size -= used;
    return f;
}

static void check_round_trip(const struct tokenizer *t)
{
    static const char text[] = "the  \xc3\xa9t\xc3\xa9\n\n12 \xf0\x9f\x98\x80 <|x|>";
    struct ids ids = {0};
    struct err e = {0};
    size_t at = 0, n;
    if (!tokenizer_encode(t, text, sizeof text, SPECIALS_AS_TEXT, &ids, &e))
        abort();
    for (size_t i = 0; i < ids.count; at += n, i++) {
        const char *bytes = tokenizer_name(t, ids.data[i], &n);
        if (n == 0 || n > sizeof text - at || memcmp(bytes, text + at, n) != 0)
            abort();
    }
    if (at != sizeof text)
        abort();
    ids_clear(&ids);
    if (tokenizer_encode(t, text, sizeof text, SPECIALS_AS_TOKENS, &ids, &e))
        ids_clear(&ids);
}

static void check_told_again(const struct tokenizer *t)
{
    struct vocabulary v;
    struct err e = {0};
    struct arena *a = arena_new(SIZE_MAX);
    size_t size;
    if (!a || !tokenizer_vocabulary(t, &v, a, &e) || v.count != ROWS)
        abort();
    for (int id = 0; id < ROWS; id++) {
        tokenizer_name(t, id, &size);
        if ((v.tokens[id].kind == TOKEN_NONE) != (size == 0) || strlen(v.tokens[id].text) < size)
            abort();
    }
    for (size_t i = 0; i < v.merge_count; i++)
        if (!strchr(v.merges[i], ' '))
            abort();
    arena_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct token_files f = {0};
    struct err e = {0};
    if (size == 0)
        return 0;
    if (memchr(data, 0, size)) {
        f.vocab = take(&data, &size);
        f.merges = take(&data, &size);
        f.config = take(&data, &size);
    } else {
        f.json = (struct token_file){(const char *)data, size};
    }
    struct tokenizer *t = tokenizer_parse(&f, ROWS, &e);
    if (t) {
        check_round_trip(t);
        check_told_again(t);
    }
    tokenizer_free(t);
    return 0;
}
