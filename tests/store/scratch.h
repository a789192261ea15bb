/* scratch.h: a folder for a test, files in it, and the stores to look at them with. What cannot be done fails
 * the test. */
#ifndef FERRY_TESTS_STORE_SCRATCH_H
#define FERRY_TESTS_STORE_SCRATCH_H

#include "store/store.h"

struct scratch {
    char path[256]; /* the folder, without a slash at its end */
    struct stores *stores;
    struct store *local;
    struct arena *arena; /* of what a test wants to keep */
};

int scratch_setup(void **state); /* for cmocka: *state is a struct scratch * */
int scratch_teardown(void **state);

char *scratch_name(struct scratch *s, const char *leaf); /* "PATH/leaf", in the arena */
/* Both leave a NUL behind the content. */
char *scratch_write(struct scratch *s, const char *leaf, const void *bytes, size_t size); /* its name */
char *scratch_read(struct scratch *s, const char *name, size_t *size);
int scratch_count(const char *folder); /* names in it, hidden ones too */

/* Bytes that repeat only after a while. */
unsigned char *scratch_bytes(struct scratch *s, size_t size);

/* The names of a listing with a space behind each, "!" and the error's text when it failed. */
char *scratch_list(struct scratch *s, struct store *store, const char *prefix, enum store_depth depth);

#endif
