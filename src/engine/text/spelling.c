#include "engine/text/spelling.h"

#include "engine/text/json_map.h"

#include <string.h>

enum { MAX_SHOWN = 60 /* bytes of a token in a message */ };

static int shown(size_t size)
{
    return (int)(size < MAX_SHOWN ? size : MAX_SHOWN);
}

void spelling_init(struct spelling *s)
{
    byte_alphabet_init(&s->alphabet);
}

static bool to_bytes(const struct spelling *s, const char *text, size_t size, unsigned char *out, size_t room,
                     size_t *out_size, struct err *e)
{
    if (size > room)
        return err_set(e, ERR_LIMIT, "\"%.*s…\" has %zu bytes, expected at most %zu", shown(size), text, size,
                       room);
    if (!byte_alphabet_decode(&s->alphabet, text, size, out, out_size))
        return err_set(
            e, ERR_UNSUPPORTED,
            "\"%.*s\" is not in the alphabet of byte-level BPE: Ferry reads Qwen2's kind of vocabulary",
            shown(size), text);
    return true;
}

bool spelling_add_token(const struct spelling *s, struct vocab *v, const char *text, size_t size, int id,
                        struct err *e)
{
    unsigned char bytes[JSON_MAP_MAX_KEY];
    size_t n;
    if (to_bytes(s, text, size, bytes, sizeof bytes, &n, e) && vocab_add(v, bytes, n, id, e))
        return true;
    return err_wrap(e, "token \"%.*s\"", shown(size), text);
}

bool spelling_add_merge(const struct spelling *s, struct vocab *v, const char *left, size_t left_size,
                        const char *right, size_t right_size, struct err *e)
{
    unsigned char bytes[2 * JSON_MAP_MAX_KEY];
    size_t n, more;
    if (to_bytes(s, left, left_size, bytes, JSON_MAP_MAX_KEY, &n, e) &&
        to_bytes(s, right, right_size, bytes + n, JSON_MAP_MAX_KEY, &more, e) &&
        vocab_add_merge(v, bytes, n, n + more, e))
        return true;
    return err_wrap(e, "\"%.*s %.*s\"", shown(left_size), left, shown(right_size), right);
}

bool spelling_add_merge_line(const struct spelling *s, struct vocab *v, const char *line, size_t size,
                             struct err *e)
{
    const char *space = memchr(line, ' ', size);
    size_t left = space ? (size_t)(space - line) : 0;
    if (!space || left == 0 || left + 1 == size || memchr(space + 1, ' ', size - left - 1))
        return err_set(e, ERR_CORRUPT, "\"%.*s\", expected two tokens with one space between them",
                       shown(size), line);
    return spelling_add_merge(s, v, line, left, space + 1, size - left - 1, e);
}
