/* program.h: the real ferry, run as a user runs it. */
#ifndef FERRY_TESTS_CMD_PROGRAM_H
#define FERRY_TESTS_CMD_PROGRAM_H

#include <stddef.h>
#include <sys/types.h>

struct program {
    pid_t pid;
    int in, out, err;        /* pipes to its stdin and from its stdout and stderr */
    struct program_log *log; /* of a service: somebody reads its stderr */
};

/* What it said, and how it ended: the exit code, or 128 + the signal. */
struct outcome {
    int code;
    char out[1 << 16], err[1 << 16];
};

/* words: NULL-terminated, behind the program's name. Fails the test when it cannot be started. */
void program_start(struct program *p, const char *ferry, const char *const *words);

/* Writes input (NULL: nothing), closes stdin, reads both outputs to their end and waits. */
void program_finish(struct program *p, const char *input, struct outcome *o);

void program_run(const char *ferry, const char *const *words, const char *input, struct outcome *o);

/* `ferry serve` of the folder on a free port of 127.0.0.1, once it is ready; its port. Its log is read while
 * it runs, however long it gets: a pipe that nobody empties would stop it after some hundred requests. */
int program_serve(struct program *p, const char *ferry, const char *folder);

#endif
