/* memory_file.h: bytes in memory behind the read and seek that decoders ask for. */
#ifndef FERRY_ENGINE_AUDIO_MEMORY_FILE_H
#define FERRY_ENGINE_AUDIO_MEMORY_FILE_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct memory_file {
    const unsigned char *bytes;
    int64_t size, at;
};

/* The bytes copied; 0 at the end. */
static inline int64_t memory_file_read(struct memory_file *m, void *to, int64_t count)
{
    int64_t left = m->size - m->at, n = count < left ? count : left;
    if (n <= 0)
        return 0;
    memcpy(to, m->bytes + m->at, (size_t)n);
    m->at += n;
    return n;
}

/* As lseek: the new position, or -1 and no move when it would lie outside. */
static inline int64_t memory_file_seek(struct memory_file *m, int64_t offset, int whence)
{
    int64_t base = whence == SEEK_CUR ? m->at : whence == SEEK_END ? m->size : 0;
    if (offset < -base || offset > m->size - base)
        return -1;
    return m->at = base + offset;
}

#endif
