/* file.h: whole files, mapped, read or written. */
#ifndef FERRY_BASE_FILE_H
#define FERRY_BASE_FILE_H

#include "base/arena.h"
#include "base/err.h"

#include <stddef.h>

/* A file mapped for reading. Zeroed means closed. */
struct file_map {
    const unsigned char *data; /* NULL when the file is empty */
    size_t size;
};

/* Maps a regular file. The mapping lives until file_unmap; the descriptor is closed at once. */
bool file_map(struct file_map *m, const char *path, struct err *e);
void file_unmap(struct file_map *m); /* a zeroed one is fine */

/* Reads a whole file of at most `ceiling` bytes into the arena, with a NUL behind it. NULL with *e set. */
char *file_read(struct arena *a, const char *path, size_t ceiling, size_t *size, struct err *e);

/* Writes all of it, however many writes that takes. False with errno set: some of it may be written. */
bool file_write(int fd, const void *bytes, size_t size);

bool file_exists(const char *path);

#endif
