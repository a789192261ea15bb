#include "cloud/call/call.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 16 << 10 };

static bool grow(struct body *b, size_t wanted, struct err *e)
{
    size_t room = b->room ? b->room : FIRST_ROOM;
    while (room < wanted)
        room *= 2; /* the ceiling keeps this far from wrapping */
    char *bytes = realloc(b->bytes, room);
    if (!bytes)
        return err_set(e, ERR_MEMORY, "no memory for an answer of %zu bytes", wanted);
    b->bytes = bytes;
    b->room = room;
    return true;
}

bool body_take(void *body, const char *bytes, size_t size, struct err *e)
{
    struct body *b = body;
    if (size > b->ceiling || b->size > b->ceiling - size)
        return err_set(e, ERR_LIMIT, "the answer is over %zu bytes", b->ceiling);
    if (b->size + size + 1 > b->room && !grow(b, b->size + size + 1, e))
        return false;
    memcpy(b->bytes + b->size, bytes, size);
    b->size += size;
    b->bytes[b->size] = 0;
    return true;
}

void body_clear(struct body *b)
{
    free(b->bytes);
    *b = (struct body){.ceiling = b->ceiling};
}

json_t *body_json(const struct body *b, struct err *e)
{
    json_error_t at = {0};
    json_t *json = json_loadb(b->bytes ? b->bytes : "", b->size, JSON_REJECT_DUPLICATES, &at);
    if (!json)
        err_set(e, ERR_CORRUPT, "the answer is not JSON: line %d: %s", at.line, at.text);
    return json;
}
