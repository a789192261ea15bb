/* scratch.h: a folder of its own for a test of the commands, with the emulator beside it: the working folder
 * while it is there. */
#ifndef FERRY_TESTS_CMD_SCRATCH_H
#define FERRY_TESTS_CMD_SCRATCH_H

#include "program.h"
#include "run_emulator.h"

#include <stdbool.h>
#include <stddef.h>

#define SCRATCH_BUCKET "model-bkt"
#define SCRATCH_PUBLIC_KEY "public.pem" /* of a service account, for a test that writes one there */

struct scratch {
    const char *ferry; /* the program */
    char folder[200];
    struct emulator emulator; /* its hub is the folder's hub/, its bucket SCRATCH_BUCKET */
    struct outcome last;      /* of the last scratch_run */
};

void scratch_start(struct scratch *s, const char *ferry);
void scratch_end(struct scratch *s);

/* `size` bytes that only this seed gives; folders on the way are made. */
void scratch_file(const char *path, size_t size, unsigned seed);
void scratch_text(const char *path, const char *text);
/* Fails the test when the two differ, are not there or are no files. */
void scratch_same(const char *a, const char *b);
bool scratch_exists(const char *path);

/* Runs ferry with these words; its exit code. */
#define scratch_run(s, ...) scratch_run_words((s), NULL, (const char *const[]){__VA_ARGS__, NULL})
#define scratch_run_with(s, input, ...)                                                                      \
    scratch_run_words((s), (input), (const char *const[]){__VA_ARGS__, NULL})
int scratch_run_words(struct scratch *s, const char *input, const char *const *words);

/* The same, which must end with 0 and say nothing on stderr. */
#define scratch_ok(s, ...) scratch_ok_words((s), (const char *const[]){__VA_ARGS__, NULL})
void scratch_ok_words(struct scratch *s, const char *const *words);

#endif
