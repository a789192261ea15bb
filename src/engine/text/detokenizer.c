#include "engine/text/utf8_piece.h"
#include "engine/tokenizer.h"

#include <string.h>

/* U+FFFD. */
static const char replacement[] = {'\xef', '\xbf', '\xbd'};

static size_t put(char *out, const void *bytes, size_t size)
{
    memcpy(out, bytes, size);
    return size;
}

/* Moves what is settled from the held bytes to out. */
static size_t release(struct detokenizer *d, char *out)
{
    size_t n = 0;
    while (d->held_count) {
        struct utf8_piece p = utf8_piece(d->held, (size_t)d->held_count);
        if (p.kind == UTF8_UNFINISHED)
            break;
        if (p.kind == UTF8_CHARACTER)
            n += put(out + n, d->held, p.size);
        else
            n += put(out + n, replacement, sizeof replacement);
        d->held_count -= (int)p.size;
        memmove(d->held, d->held + p.size, (size_t)d->held_count);
    }
    return n;
}

size_t detokenizer_push(struct detokenizer *d, const char *bytes, size_t size, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < size; i++) {
        d->held[d->held_count++] = (unsigned char)bytes[i]; /* at most three are held between two bytes */
        n += release(d, out + n);
    }
    return n;
}

size_t detokenizer_finish(struct detokenizer *d, char *out)
{
    if (d->held_count == 0)
        return 0;
    d->held_count = 0; /* the beginning of a character is one maximal invalid part */
    return put(out, replacement, sizeof replacement);
}
