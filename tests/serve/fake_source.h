/* fake_source.h: a place with a configuration object that a test changes as it likes. Any thread. */
#ifndef FERRY_TESTS_SERVE_FAKE_SOURCE_H
#define FERRY_TESTS_SERVE_FAKE_SOURCE_H

#include "serve/config_source.h"

#include <pthread.h>

struct fake_source {
    struct config_source source;
    pthread_mutex_t mutex;
    int64_t generation; /* 0: there is no object */
    const char *text;   /* the test's */
    uint64_t size;      /* when it is not that of text: larger than it is worth having */
    struct err failure; /* kind ERR_NONE: it answers */
    int delay_ms;       /* before each answer; *stop ends it early */
    int looks, reads;   /* so far */
};

void fake_source_init(struct fake_source *f);
void fake_source_put(struct fake_source *f, int64_t generation, const char *text);
void fake_source_fail(struct fake_source *f, enum err_kind kind, const char *why);
void fake_source_delay(struct fake_source *f, int ms);
int fake_source_looks(struct fake_source *f);

#endif
