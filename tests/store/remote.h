/* remote.h: the emulator, started once for a test program, and a scratch folder with stores that look at it
 * for each test. The bucket is "model-bkt". */
#ifndef FERRY_TESTS_STORE_REMOTE_H
#define FERRY_TESTS_STORE_REMOTE_H

#include "run_emulator.h"
#include "scratch.h"

#define BUCKET "model-bkt"

extern struct emulator remote;

int remote_start(const char *hub); /* hub: a folder of repositories; NULL: none */
int remote_stop(void);

/* For cmocka: a scratch whose stores know the emulator, try again quickly, and no faults. */
int remote_setup(void **state);
int remote_teardown(void **state);

struct store *remote_bucket(struct scratch *s);
struct store *remote_open(struct scratch *s, const char *uri); /* fails the test */

void assert_error(const struct err *e, enum err_kind kind, const char *part);

#endif
