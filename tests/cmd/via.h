/* via.h: what the tests of `ferry stage --via job` and `--via vm` share. Each test has a world of its own,
 * whose hub has staged_make's owner/name, to be staged into VIA_TARGET. */
#ifndef FERRY_TESTS_CMD_VIA_H
#define FERRY_TESTS_CMD_VIA_H

#include "staged.h"

#include <stdbool.h>

#define VIA_TARGET "gs://" SCRATCH_BUCKET "/m"
#define VIA_WORDS(way, image)                                                                                \
    "stage", "owner/name", VIA_TARGET, "--via", way, "--image", image, "--project", "demo-proj", "--region", \
        "asia-northeast1"

/* Of main: false when its arguments are not the program and the sources' tests/. */
bool via_arguments(int argc, char **argv);
/* Of a test, whose state is a struct scratch. */
int via_start(void **state);
int via_end(void **state);
#define VIA_TEST(test) cmocka_unit_test_setup_teardown(test, via_start, via_end)

/* Puts a model that can be encoded onto the hub: owner/tiny. */
void via_add_tiny(void);

/* How many requests there were. method NULL: of any; path: a glob. */
int via_requests(const struct scratch *s, const char *method, const char *path);
/* Whether the words are in the log as it is now, and from where: emulator_log waits until nothing is under
 * way, which slow copies are. */
const char *via_logged(const struct scratch *s, const char *words);
/* Until they are there; fails the test after a minute. */
void via_wait_for(const struct scratch *s, const char *words);

/* Starts the command while the hub is slow, so that it can be interrupted. */
void via_start_slow(struct scratch *s, struct program *p, const char *const *words);

/* What lies in the bucket is the whole of the model, and nothing else. */
void via_expect_staged(struct scratch *s);
/* The code of the last scratch_run is not 0, and the words are on stderr. */
void via_expect_problem(const struct scratch *s, int code, const char *words);

struct via_refusal {
    const char *words[4], *problem;
};
/* Staging owner/name with --yes, this way and each row's words more, ends in its problem. */
void via_expect_refused(struct scratch *s, const char *way, const struct via_refusal *rows, size_t count);

#endif
