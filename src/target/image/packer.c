#include "target/image/packer.h"

#include <stdlib.h>
#include <zlib.h>

enum {
    LEVEL = 6,             /* 9 is 0.4 % smaller on libraries, and takes 2 s more of every deploy */
    WINDOW_GZIP = 15 + 16, /* the largest window; 16 asks for gzip's head and tail */
    MEMORY = 8,            /* zlib's usual; 9 measured 0.7 % larger on libraries */
    FIRST_ROOM = 1 << 20,
    PIECE = 1 << 20, /* of what comes in, since zlib counts in 32 bits */
};

struct packer {
    z_stream z;
    bool open;
    unsigned char *bytes;
    size_t size, room, ceiling;
    uint64_t unpacked_size;
    struct sha256 unpacked;
};

struct packer *packer_new(size_t ceiling, struct err *e)
{
    struct packer *p = calloc(1, sizeof *p);
    if (p) {
        p->ceiling = ceiling;
        sha256_start(&p->unpacked);
        p->open = deflateInit2(&p->z, LEVEL, Z_DEFLATED, WINDOW_GZIP, MEMORY, Z_DEFAULT_STRATEGY) == Z_OK;
        if (p->open)
            return p;
    }
    err_set(e, ERR_MEMORY, "no memory to compress a layer");
    free(p);
    return NULL;
}

void packer_free(struct packer *p)
{
    if (!p)
        return;
    if (p->open)
        deflateEnd(&p->z);
    free(p->bytes);
    free(p);
}

/* Twice the room, up to the ceiling. */
static bool grow(struct packer *p, struct err *e)
{
    size_t room = p->room ? p->room * 2 : FIRST_ROOM;
    if (room > p->ceiling)
        room = p->ceiling;
    if (room <= p->room)
        return err_set(e, ERR_LIMIT, "a layer of more than %zu bytes", p->ceiling);
    unsigned char *bytes = realloc(p->bytes, room);
    if (!bytes)
        return err_set(e, ERR_MEMORY, "no memory for a layer of %zu bytes", room);
    p->bytes = bytes;
    p->room = room;
    return true;
}

/* Everything zlib has for us: until its input is used up or, at the end, until it says that it is done. */
static bool drain(struct packer *p, int flush, struct err *e)
{
    for (;;) {
        if (p->size == p->room && !grow(p, e))
            return false;
        size_t room = p->room - p->size < PIECE ? p->room - p->size : PIECE;
        p->z.next_out = p->bytes + p->size;
        p->z.avail_out = (uInt)room;
        int result = deflate(&p->z, flush);
        p->size += room - p->z.avail_out;
        if (result == Z_STREAM_END || (flush == Z_NO_FLUSH && p->z.avail_in == 0 && p->z.avail_out > 0))
            return true;
        if (result != Z_OK && result != Z_BUF_ERROR)
            return err_set(e, ERR_MEMORY, "zlib: %s", p->z.msg ? p->z.msg : "cannot compress");
    }
}

bool packer_add(struct packer *p, const void *bytes, size_t size, struct err *e)
{
    const unsigned char *from = bytes;
    sha256_add(&p->unpacked, bytes, size);
    p->unpacked_size += size;
    while (size > 0) {
        size_t n = size < PIECE ? size : PIECE;
        p->z.next_in = (z_const Bytef *)(uintptr_t)from; /* zlib does not write to it */
        p->z.avail_in = (uInt)n;
        if (!drain(p, Z_NO_FLUSH, e))
            return false;
        from += n;
        size -= n;
    }
    return true;
}

bool packer_end(struct packer *p, struct packed *out, struct err *e)
{
    struct sha256 whole;
    if (!drain(p, Z_FINISH, e))
        return false;
    *out = (struct packed){.bytes = p->bytes, .size = p->size, .unpacked_size = p->unpacked_size};
    sha256_end(&p->unpacked, out->unpacked_sha256);
    sha256_start(&whole);
    sha256_add(&whole, p->bytes, p->size);
    sha256_end(&whole, out->sha256);
    p->bytes = NULL;
    p->size = p->room = 0;
    return true;
}
