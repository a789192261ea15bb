/* Connections: kept, shared out among threads, limited. */
#include "peer.h"

#include "base/clock.h"
#include "base/stop.h"
#include "net/http.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define DONE "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"

enum { THREADS = 8, REQUESTS = 25 };

static void get(struct http *h, const struct peer *p)
{
    char url[200], into[4];
    struct http_request q = {.method = "GET", .url = url, .into = into, .into_room = sizeof into};
    struct http_reply r;
    struct err e = {0};
    peer_url(p, "/x", url);
    if (!http_send(h, &q, &r, &e))
        fail_msg("%s", e.text);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.size, 4);
    assert_memory_equal(into, "body", 4);
}

static void requests_to_one_host_use_one_connection(void **state)
{
    struct peer p = {.answer = DONE, .end = PEER_KEEP};
    peer_start(&p);
    for (int i = 0; i < 10; i++)
        get(*state, &p);
    peer_stop(&p);
    assert_int_equal(p.locked.requests, 10);
    assert_int_equal(p.locked.connections, 1);
}

static void two_hosts_in_turn_keep_a_connection_each(void **state)
{
    struct peer a = {.answer = DONE, .end = PEER_KEEP}, b = {.answer = DONE, .end = PEER_KEEP};
    peer_start(&a);
    peer_start(&b);
    for (int i = 0; i < 5; i++) {
        get(*state, &a);
        get(*state, &b);
    }
    peer_stop(&a);
    peer_stop(&b);
    assert_int_equal(a.locked.connections, 1);
    assert_int_equal(b.locked.connections, 1);
}

static void connection_that_the_host_closed_is_replaced(void **state)
{
    struct peer p = {.answer = DONE, .end = PEER_CLOSE}; /* without saying so */
    peer_start(&p);
    for (int i = 0; i < 5; i++)
        get(*state, &p);
    peer_stop(&p);
    assert_int_equal(p.locked.requests, 5);
    assert_int_equal(p.locked.connections, 5);
}

static void failed_answer_is_not_mixed_into_the_next(void **state)
{
    struct peer p = {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbodyrest!", .end = PEER_KEEP};
    char url[200], into[4];
    struct http_request q = {.method = "GET", .url = url, .into = into, .into_room = sizeof into};
    struct http_reply r;
    struct err e = {0};
    peer_start(&p);
    peer_url(&p, "/x", url);
    for (int i = 0; i < 3; i++) {
        assert_false(http_send(*state, &q, &r, &e)); /* longer than its room */
        assert_int_equal(e.kind, ERR_LIMIT);
    }
    peer_stop(&p);
    assert_int_equal(p.locked.connections, 3); /* bytes that nobody read end with their connection */
}

struct asker {
    struct http *h;
    const struct peer *p;
    int good;
};

/* cmocka's asserts jump: threads count instead. */
static void *ask_many(void *arg)
{
    struct asker *a = arg;
    char url[200], into[4];
    peer_url(a->p, "/x", url);
    for (int i = 0; i < REQUESTS; i++) {
        struct http_request q = {.method = "GET", .url = url, .into = into, .into_room = sizeof into};
        struct http_reply r;
        struct err e = {0};
        a->good += http_send(a->h, &q, &r, &e) && r.status == 200 && memcmp(into, "body", 4) == 0;
    }
    return NULL;
}

/* THREADS threads at once; returns how many requests were answered rightly. */
static int ask_from_threads(struct http *h, const struct peer *const peers[THREADS])
{
    struct asker askers[THREADS];
    pthread_t threads[THREADS];
    int good = 0;
    for (int i = 0; i < THREADS; i++) {
        askers[i] = (struct asker){h, peers[i], 0};
        assert_int_equal(pthread_create(&threads[i], NULL, ask_many, &askers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        good += askers[i].good;
    }
    return good;
}

static void eight_threads_share_no_connection_at_a_time(void **state)
{
    struct peer p = {.answer = DONE, .end = PEER_KEEP, .delay_ms = 5};
    const struct peer *all[THREADS] = {&p, &p, &p, &p, &p, &p, &p, &p};
    http_limit(*state, 0);
    peer_start(&p);
    assert_int_equal(ask_from_threads(*state, all), THREADS * REQUESTS);
    peer_stop(&p);
    assert_int_equal(p.locked.requests, THREADS * REQUESTS);
    assert_in_range(p.locked.connections, 2, THREADS);
    assert_in_range(p.locked.most_busy, 2, THREADS);
}

static void limit_is_for_each_host(void **state)
{
    struct peer a = {.answer = DONE, .end = PEER_KEEP, .delay_ms = 5}, b = a;
    const struct peer *halves[THREADS] = {&a, &b, &a, &b, &a, &b, &a, &b};
    http_limit(*state, 2);
    peer_start(&a);
    peer_start(&b);
    assert_int_equal(ask_from_threads(*state, halves), THREADS * REQUESTS);
    peer_stop(&a);
    peer_stop(&b);
    http_limit(*state, 0);
    assert_in_range(a.locked.connections, 1, 2);
    assert_in_range(b.locked.connections, 1, 2);
    assert_in_range(a.locked.most_busy, 1, 2);
    assert_in_range(b.locked.most_busy, 1, 2);
}

struct waiter {
    struct http *h;
    const struct peer *p;
    const volatile sig_atomic_t *stop;
    bool ok;
    struct err e;
};

static void *ask_once(void *arg)
{
    struct waiter *w = arg;
    char url[200];
    struct http_request q = {.method = "GET", .url = url, .stop = w->stop};
    struct http_reply r;
    peer_url(w->p, "/x", url);
    w->ok = http_send(w->h, &q, &r, &w->e);
    return NULL;
}

static int requests_seen(struct peer *p)
{
    pthread_mutex_lock(&p->locked.mutex);
    int n = p->locked.requests;
    pthread_mutex_unlock(&p->locked.mutex);
    return n;
}

static void wait_requests(struct peer *p, int n)
{
    struct timespec tick = {.tv_nsec = 5000000};
    for (uint64_t end = clock_ns() + 20000000000u; requests_seen(p) < n && clock_ns() < end;)
        nanosleep(&tick, NULL);
    assert_int_equal(requests_seen(p), n);
}

static void stop_ends_the_wait_for_a_place(void **state)
{
    static volatile sig_atomic_t stop_first, stop_second;
    struct peer p = {.answer = "", .end = PEER_HANG};
    struct waiter first = {.h = *state, .p = &p, .stop = &stop_first};
    struct waiter second = {.h = *state, .p = &p, .stop = &stop_second};
    struct timespec a_moment = {.tv_nsec = 200000000};
    pthread_t threads[2];
    http_limit(*state, 1);
    peer_start(&p);
    assert_int_equal(pthread_create(&threads[0], NULL, ask_once, &first), 0);
    wait_requests(&p, 1);
    assert_int_equal(pthread_create(&threads[1], NULL, ask_once, &second), 0);
    nanosleep(&a_moment, NULL);
    stop_ask(&stop_second);
    pthread_join(threads[1], NULL);
    assert_false(second.ok);
    assert_int_equal(second.e.kind, ERR_CANCELLED);
    assert_int_equal(requests_seen(&p), 1); /* it never got through */
    stop_ask(&stop_first);
    pthread_join(threads[0], NULL);
    assert_int_equal(first.e.kind, ERR_CANCELLED);
    peer_stop(&p);
    http_limit(*state, 0);
}

static void raised_limit_lets_who_waits_go_on(void **state)
{
    static volatile sig_atomic_t stop;
    struct peer p = {.answer = "", .end = PEER_HANG};
    struct waiter waiters[2] = {{.h = *state, .p = &p, .stop = &stop}, {.h = *state, .p = &p, .stop = &stop}};
    pthread_t threads[2];
    http_limit(*state, 1);
    peer_start(&p);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_once, &waiters[i]), 0);
    wait_requests(&p, 1);
    http_limit(*state, 2);
    wait_requests(&p, 2);
    stop_ask(&stop);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    peer_stop(&p);
    http_limit(*state, 0);
}

static int open_client(void **state)
{
    struct err e = {0};
    *state = http_new(&e);
    return *state ? 0 : -1;
}

static int close_client(void **state)
{
    http_free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_to_one_host_use_one_connection),
        cmocka_unit_test(two_hosts_in_turn_keep_a_connection_each),
        cmocka_unit_test(connection_that_the_host_closed_is_replaced),
        cmocka_unit_test(failed_answer_is_not_mixed_into_the_next),
        cmocka_unit_test(eight_threads_share_no_connection_at_a_time),
        cmocka_unit_test(limit_is_for_each_host),
        cmocka_unit_test(stop_ends_the_wait_for_a_place),
        cmocka_unit_test(raised_limit_lets_who_waits_go_on),
    };
    setenv("no_proxy", "127.0.0.1", 1); /* the peers are on this machine */
    return cmocka_run_group_tests(tests, open_client, close_client);
}
