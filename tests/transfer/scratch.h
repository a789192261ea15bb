/* scratch.h: a folder for one test program: files in it, a place for journals, and nothing left behind. */
#ifndef FERRY_TESTS_TRANSFER_SCRATCH_H
#define FERRY_TESTS_TRANSFER_SCRATCH_H

#include <stdbool.h>
#include <stddef.h>

struct scratch {
    char folder[200];
};

/* Makes it, and lets XDG_STATE_HOME point into it. What cannot be done fails the test. */
void scratch_make(struct scratch *s);
void scratch_remove(struct scratch *s);

/* "folder/name", in one of a few buffers that take turns. */
const char *scratch_path(const struct scratch *s, const char *name);

/* A file of size bytes that differ with seed; folders in front of it are made. */
void scratch_write(const struct scratch *s, const char *name, size_t size, unsigned seed);
void scratch_write_bytes(const struct scratch *s, const char *name, const void *bytes, size_t size);
void scratch_noise(void *bytes, size_t size, unsigned seed);

bool scratch_same(const struct scratch *s, const char *a, const char *b);
bool scratch_exists(const struct scratch *s, const char *name);
/* Files below a folder, however deep; 0 when it is not there. */
int scratch_count(const struct scratch *s, const char *name);
void scratch_delete(const struct scratch *s, const char *name); /* a file or a folder with all it holds */

#endif
