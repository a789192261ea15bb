#include "late_service.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

void late_open(struct late_service *v, int parallel)
{
    struct engine_options o = {.math = MATH_EXACT, .parallel = parallel};
    struct err e = {0};
    *v = (struct late_service){0};
    open_tiny(&v->whole, parallel, 0);
    late_model_init(&v->late, &v->whole.model);
    v->arriving = v->whole;
    v->arriving.model = v->late.model;
    v->arriving.pool = pool_new(1, &e);
    v->arriving.engine = engine_new(&v->arriving.model, v->arriving.pool, &o, &e);
    if (!v->arriving.engine)
        fail_msg("%s", e.text);
}

void late_close(struct late_service *v)
{
    engine_free(v->arriving.engine);
    pool_free(v->arriving.pool);
    late_model_clear(&v->late);
    loaded_model_close(&v->whole);
}

static void *bring_rows(void *arg)
{
    struct late_service *v = arg;
    while (!atomic_load(&v->rows_stop)) {
        late_wanted_rows(&v->late);
        pause_ms(1);
    }
    return NULL;
}

void late_begin_rows(struct late_service *v)
{
    atomic_store(&v->rows_stop, false);
    assert_int_equal(pthread_create(&v->rows_thread, NULL, bring_rows, v), 0);
}

void late_end_rows(struct late_service *v)
{
    atomic_store(&v->rows_stop, true);
    pthread_join(v->rows_thread, NULL);
}

void late_bring(struct late_service *v, int first, int last)
{
    for (int stage = first; stage <= last; stage++) {
        late_stage(&v->late, stage);
        pause_ms(3);
    }
}
