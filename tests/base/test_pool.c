#include "base/pool.h"

#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { MAX_THREADS = 8, COUNT = 1000 };

/* What the functions under test write: how often each index and each thread was seen. Plain ints on purpose:
 * a call that returned before all its threads were done is a race that ThreadSanitizer sees. */
struct seen {
    int index[COUNT], thread[MAX_THREADS];
    size_t grain, count;
    _Atomic bool bad_piece;
};

static void mark_pieces(void *arg, size_t begin, size_t end, int thread)
{
    struct seen *s = arg;
    size_t left = s->count - begin;
    if (begin >= end || end - begin != (left < s->grain ? left : s->grain) || thread < 0 ||
        thread >= MAX_THREADS)
        s->bad_piece = true;
    for (size_t i = begin; i < end; i++)
        s->index[i]++;
}

static void mark_thread(void *arg, int thread)
{
    struct seen *s = arg;
    s->thread[thread]++;
}

static void every_index_comes_exactly_once(void **state)
{
    static const size_t counts[] = {0, 1, 2, 7, 16, 17, 64, 999, COUNT}, grains[] = {1, 2, 7, 64, 5000};
    (void)state;
    for (int threads = 1; threads <= MAX_THREADS; threads++) {
        struct err e = {0};
        struct pool *p = pool_new(threads, &e);
        assert_non_null(p);
        assert_int_equal(pool_threads(p), threads);
        for (int round = 0; round < 9 * 5 * 4; round++) {
            struct seen s = {.count = counts[round % 9], .grain = grains[round / 9 % 5]};
            pool_each(p, s.count, s.grain, mark_pieces, &s);
            assert_false(s.bad_piece);
            for (size_t i = 0; i < COUNT; i++)
                assert_int_equal(s.index[i], i < s.count);
        }
        pool_free(p);
    }
}

static void every_thread_runs_once_per_round(void **state)
{
    (void)state;
    for (int threads = 1; threads <= MAX_THREADS; threads++) {
        struct err e = {0};
        struct pool *p = pool_new(threads, &e);
        struct seen s = {.count = 0};
        assert_non_null(p);
        for (int round = 1; round <= 2000; round++) {
            pool_run(p, mark_thread, &s);
            for (int t = 0; t < MAX_THREADS; t++)
                assert_int_equal(s.thread[t], t < threads ? round : 0);
        }
        pool_free(p);
    }
}

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static void slow_thread(void *arg, int thread)
{
    if (thread == 1)
        sleep_ms(5); /* long enough that the owner goes to sleep over it */
    mark_thread(arg, thread);
}

/* Workers that fell asleep between rounds, and an owner that fell asleep inside one, wake again. */
static void sleepers_wake(void **state)
{
    struct err e = {0};
    struct pool *p = pool_new(3, &e);
    struct seen s = {.count = 0};
    (void)state;
    assert_non_null(p);
    for (int round = 1; round <= 20; round++) {
        sleep_ms(2);
        pool_run(p, slow_thread, &s);
        for (int t = 0; t < 3; t++)
            assert_int_equal(s.thread[t], round);
    }
    pool_free(p);
}

static double process_cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void idle_pool_takes_no_cpu(void **state)
{
    struct err e = {0};
    struct pool *p = pool_new(4, &e);
    struct seen s = {.count = 0};
    (void)state;
    assert_non_null(p);
    pool_run(p, mark_thread, &s);
    sleep_ms(50);
    double before = process_cpu_ms();
    sleep_ms(200);
    assert_true(process_cpu_ms() - before < 20);
    pool_free(p);
}

static void unused_pools_and_null_can_be_freed(void **state)
{
    struct err e = {0};
    (void)state;
    for (int threads = 1; threads <= MAX_THREADS; threads++)
        pool_free(pool_new(threads, &e));
    pool_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_index_comes_exactly_once),
        cmocka_unit_test(every_thread_runs_once_per_round),
        cmocka_unit_test(sleepers_wake),
        cmocka_unit_test(idle_pool_takes_no_cpu),
        cmocka_unit_test(unused_pools_and_null_can_be_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
