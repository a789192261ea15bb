/* late_service.h: the tiny model twice: whole, and with weights that come late, ready for a scheduler or a
 * server. Failures fail the running test. */
#ifndef FERRY_TESTS_SERVE_LATE_SERVICE_H
#define FERRY_TESTS_SERVE_LATE_SERVICE_H

#include "fixture.h"
#include "late_model.h"

#include <stdatomic.h>

struct late_service {
    struct loaded_model whole, arriving; /* arriving: tokenizer and mel are whole's */
    struct late_model late;
    pthread_t rows_thread;
    _Atomic bool rows_stop;
};

void late_open(struct late_service *v, int parallel);
void late_close(struct late_service *v);

/* Rows of the embedding come as they are asked for. */
void late_begin_rows(struct late_service *v);
void late_end_rows(struct late_service *v);

/* These stages come, a moment apart. */
void late_bring(struct late_service *v, int first, int last);

void pause_ms(long ms);

#endif
