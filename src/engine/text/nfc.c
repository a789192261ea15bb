#include "engine/text/nfc.h"

#include "engine/text/utf8_piece.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define COMPOSE ((utf8proc_option_t)(UTF8PROC_STABLE | UTF8PROC_COMPOSE)) /* as utf8proc_NFC */

enum {
    MOST_PARTS = 4, /* code points of the longest canonical decomposition (U+1F82) */
    SHORT_RUN = 16, /* marks for which insertion beats counting */
    CLASSES = 256,  /* combining classes are below it */
};

struct codes {
    utf8proc_int32_t *data;
    size_t count, room;
};

static int combining_class(utf8proc_int32_t code)
{
    return utf8proc_get_property(code)->combining_class;
}

/* Does a character with a canonical decomposition come back when composed? */
static bool recomposes(utf8proc_int32_t code)
{
    utf8proc_int32_t parts[MOST_PARTS];
    int boundary = 0;
    utf8proc_ssize_t n = utf8proc_decompose_char(code, parts, MOST_PARTS, COMPOSE, &boundary);
    if (n < 1 || n > MOST_PARTS)
        return false;
    return utf8proc_normalize_utf32(parts, n, COMPOSE) == 1 && parts[0] == code;
}

/* Nothing before or after such a character makes the form touch it. */
static bool settled(utf8proc_int32_t code)
{
    if (code < 0x300 || (code >= 0x3400 && code < 0xa000) || (code >= 0xac00 && code < 0xd7a4))
        return true; /* the first combining mark is U+0300; ideographs; Hangul syllables */
    if (code >= 0x1160 && code < 0x1200)
        return false; /* jamo that join the syllable before them */
    const utf8proc_property_t *p = utf8proc_get_property(code);
    if (p->category == UTF8PROC_CATEGORY_MN || p->category == UTF8PROC_CATEGORY_MC ||
        p->category == UTF8PROC_CATEGORY_ME)
        return false;
    if (p->decomp_seqindex == UINT16_MAX || p->decomp_type != 0) /* none, or one for compatibility only */
        return true;
    return recomposes(code);
}

bool nfc_settled(const char *text, size_t size)
{
    const unsigned char *s = (const unsigned char *)text;
    for (size_t i = 0, length; i < size; i += length)
        if (!settled(utf8_code(s + i, &length)))
            return false;
    return true;
}

static bool decompose(struct codes *c, const unsigned char *s, size_t size, struct err *e)
{
    for (size_t i = 0, length; i < size; i += length) {
        if (c->room - c->count < MOST_PARTS) {
            size_t room = c->room * 2 + size + MOST_PARTS;
            utf8proc_int32_t *more = realloc(c->data, room * sizeof *more);
            if (!more)
                return err_set(e, ERR_MEMORY, "no memory to normalise %zu bytes of text", size);
            c->data = more;
            c->room = room;
        }
        int boundary = 0;
        utf8proc_ssize_t n = utf8proc_decompose_char(utf8_code(s + i, &length), c->data + c->count,
                                                     MOST_PARTS, COMPOSE, &boundary);
        if (n < 0 || n > MOST_PARTS)
            return err_set(e, ERR_CORRUPT, "cannot normalise the character at byte %zu", i);
        c->count += (size_t)n;
    }
    return true;
}

static void order_short(utf8proc_int32_t *run, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        utf8proc_int32_t code = run[i];
        size_t k = i;
        for (; k > 0 && combining_class(run[k - 1]) > combining_class(code); k--)
            run[k] = run[k - 1];
        run[k] = code;
    }
}

static bool order_long(utf8proc_int32_t *run, size_t n, struct err *e)
{
    size_t place[CLASSES + 1] = {0};
    utf8proc_int32_t *sorted = malloc(n * sizeof *sorted);
    if (!sorted)
        return err_set(e, ERR_MEMORY, "no memory to order %zu combining marks", n);
    for (size_t i = 0; i < n; i++)
        place[combining_class(run[i]) + 1]++;
    for (size_t i = 1; i <= CLASSES; i++)
        place[i] += place[i - 1];
    for (size_t i = 0; i < n; i++)
        sorted[place[combining_class(run[i])]++] = run[i];
    memcpy(run, sorted, n * sizeof *run);
    free(sorted);
    return true;
}

/* Runs of marks by combining class, stably (Unicode 15, D108-D109). utf8proc's own ordering is quadratic in
 * the length of a run, which anyone could send. */
static bool order_marks(struct codes *c, struct err *e)
{
    for (size_t i = 0, end; i < c->count; i = end + 1) {
        for (end = i; end < c->count && combining_class(c->data[end]) != 0;)
            end++;
        if (end - i <= SHORT_RUN)
            order_short(c->data + i, end - i);
        else if (!order_long(c->data + i, end - i, e))
            return false;
    }
    return true;
}

char *nfc_compose(const char *text, size_t size, size_t *out_size, struct err *e)
{
    struct codes c = {0};
    char *out = NULL;
    *out_size = 0;
    if (!decompose(&c, (const unsigned char *)text, size, e) || !order_marks(&c, e))
        goto done;
    utf8proc_ssize_t n = utf8proc_normalize_utf32(c.data, (utf8proc_ssize_t)c.count, COMPOSE);
    out = malloc((size_t)n * 4 + 1);
    if (!out) {
        err_set(e, ERR_MEMORY, "no memory to normalise %zu bytes of text", size);
        goto done;
    }
    for (utf8proc_ssize_t i = 0; i < n; i++)
        *out_size += (size_t)utf8proc_encode_char(c.data[i], (utf8proc_uint8_t *)out + *out_size);
done:
    free(c.data);
    return out;
}
