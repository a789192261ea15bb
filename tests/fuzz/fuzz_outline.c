/* config.json of any model: sizes that make sense or none, words that a terminal may show. */
#include "model/outline.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_word(const char *s)
{
    for (; *s; s++)
        check(isalnum((unsigned char)*s) || strchr("_-.", *s));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct model_outline o;
    struct err e = {0};
    char *copy = malloc(size + 1);
    if (!copy)
        return 0;
    if (size)
        memcpy(copy, data, size);
    copy[size] = '\0';
    if (model_outline_parse(&o, copy, &e)) {
        check_word(o.type);
        check_word(o.dtype);
        check(o.layers >= 0 && o.kv_heads >= 0 && o.head_dim >= 0 && o.max_positions >= 0);
        check(!o.plain_cache || (o.layers && o.kv_heads && o.head_dim));
    } else {
        check(e.kind != ERR_NONE && e.text[0] && !strchr(e.text, '\n'));
    }
    free(copy);
    return 0;
}
