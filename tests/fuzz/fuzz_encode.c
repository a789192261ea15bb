/* Any bytes into the tiny tokenizer: what is not UTF-8 is refused, the rest comes back in normal form C. */
#include "engine/text/nfc.h"
#include "engine/text/utf8_piece.h"
#include "engine/tokenizer.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tokenizer *tiny(void)
{
    static struct tokenizer *t;
    struct err e = {0};
    const struct file_source files = file_source_folder(FERRY_TESTS "/data/models/tiny-qwen2-audio");
    if (!t)
        t = tokenizer_new(&files, 1088, &e);
    if (!t) {
        fprintf(stderr, "%s\n", e.text);
        abort();
    }
    return t;
}

static char *decode(const struct tokenizer *t, const struct ids *ids, size_t *size)
{
    size_t bytes = 0, n;
    for (size_t i = 0; i < ids->count; i++, bytes += n)
        tokenizer_name(t, ids->data[i], &n);
    char *text = malloc(bytes * 3 + 16);
    struct detokenizer d = {0};
    *size = 0;
    for (size_t i = 0; text && i < ids->count; i++) {
        const char *piece = tokenizer_name(t, ids->data[i], &n);
        *size += detokenizer_push(&d, piece, n, text + *size);
    }
    if (text)
        *size += detokenizer_finish(&d, text + *size);
    return text;
}

/* Pieces between added tokens are normalised one by one, so what comes back is normalised once more. */
static void check_same(const char *text, size_t size, const char *back, size_t back_size)
{
    struct err e = {0};
    size_t n, m;
    char *want = nfc_compose(text, size, &n, &e), *got = nfc_compose(back, back_size, &m, &e);
    if (!want || !got || n != m || memcmp(want, got, n) != 0)
        abort();
    free(want);
    free(got);
}

static void check(const struct tokenizer *t, const char *text, size_t size, enum token_specials how)
{
    struct ids ids = {0};
    struct err e = {0};
    bool valid = utf8_valid((const unsigned char *)text, size) == size;
    if (tokenizer_encode(t, text, size, how, &ids, &e) != valid)
        abort();
    if (valid) {
        size_t n;
        char *back = decode(t, &ids, &n);
        if (!back)
            abort();
        check_same(text, size, back, n);
        free(back);
    }
    ids_clear(&ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check(tiny(), (const char *)data, size, SPECIALS_AS_TEXT);
    check(tiny(), (const char *)data, size, SPECIALS_AS_TOKENS);
    return 0;
}
