#include "serve/http/bytes.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_BYTES = 1 << 10 };

bool bytes_add(struct bytes *b, const void *data, size_t size, size_t ceiling)
{
    if (b->size > ceiling || size > ceiling - b->size)
        return false;
    size_t need = b->size + size;
    if (need > b->room) {
        size_t room = b->room ? b->room : FIRST_BYTES;
        while (room < need)
            room *= 2;
        char *grown = realloc(b->data, room);
        if (!grown)
            return false;
        b->data = grown;
        b->room = room;
    }
    if (size)
        memcpy(b->data + b->size, data, size);
    b->size = need;
    return true;
}

void bytes_clear(struct bytes *b)
{
    free(b->data);
    *b = (struct bytes){0};
}
