/* What the network does to a load: it recovers, or says why not. */
#include "staged.h"

#include "base/clock.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { RANGE = 4096 };
#define WHERE "gs://" BUCKET "/m"

#define ON_SHARDS "{\"faults\":[{\"method\":\"GET\",\"path\":\"*safetensors\",\"query\":\"*alt=media*\","

/* A load that has to come out right in spite of it, in so many seconds. */
static const struct {
    const char *name, *fault;
    double seconds;
} recovered[] = {
    {"resets", "reset-while-reading", 15},
    {"a body cut short", "short-body", 15},
    {"503", "unavailable-answer", 15},
    {"429", "rate-limit", 15},
    {"the whole for a range", "range-ignored", 15},
    {"another range", "wrong-content-range", 15},
    {"a wrong byte", "corrupt-byte-while-reading", 15},
    {"a stall at the very first file", "stall-before-answer", 15},
    {"a stall in a range", ON_SHARDS "\"from\":20,\"do\":{\"after_bytes\":100,\"then\":\"stall\"}}]}", 15},
    {"no answer to a range", ON_SHARDS "\"from\":20,\"do\":{\"stall_seconds\":3600}}]}", 15},
    {"a stall in a header", ON_SHARDS "\"from\":2,\"do\":{\"after_bytes\":100,\"then\":\"stall\"}}]}", 15},
    {"three stalls", ON_SHARDS "\"from\":20,\"times\":3,\"do\":{\"after_bytes\":100,\"then\":\"stall\"}}]}",
     20},
    {"a stall at the end", ON_SHARDS "\"from\":325,\"do\":{\"after_bytes\":100,\"then\":\"stall\"}}]}", 15},
    {"resets in every tenth range",
     ON_SHARDS "\"from\":10,\"times\":30,\"do\":{\"after_bytes\":1000,\"then\":\"reset\"}}]}", 30},
    {"a range that crawls", ON_SHARDS "\"from\":20,\"do\":{\"bytes_per_second\":50}}]}", 15},
};

static void load_recovers(void **state)
{
    struct scratch *s = *state;
    staged_bucket(s, "m/", RANGE);
    for (size_t i = 0; i < sizeof recovered / sizeof *recovered; i++) {
        struct load l;
        stores_patience(s->stores, 2);
        emulator_faults(&remote, recovered[i].fault);
        double begun = clock_ms();
        load_new(&l, remote_bucket(s), "m/", WHERE, 4);
        load_all(&l);
        expect_tiny(&l);
        double took = (clock_ms() - begun) / 1e3;
        print_message("%s: %.2f s\n", recovered[i].name, took);
        if (took > recovered[i].seconds)
            fail_msg("%s: %.1f s", recovered[i].name, took);
        load_free(&l);
    }
}

static void token_that_ends_midway_is_replaced(void **state)
{
    struct scratch *s = *state;
    struct load l;
    staged_bucket(s, "m/", RANGE);
    unsetenv("FERRY_ACCESS_TOKEN"); /* the metadata server has tokens */
    struct stores *stores = stores_new(0, NULL);
    const struct uri bucket = {.scheme = URI_GS, .place = BUCKET, .path = ""};
    emulator_faults(&remote, "token-dies-midway");
    load_new(&l, stores_open(stores, &bucket, NULL), "m/", WHERE, 4);
    load_all(&l);
    expect_tiny(&l);
    load_free(&l);
    stores_free(stores);
    setenv("FERRY_ACCESS_TOKEN", EMULATOR_TOKEN, 1);
}

/* A stalled range does not wait for its connection to be given up. */
static void late_range_is_asked_for_again(void **state)
{
    struct scratch *s = *state;
    struct load l;
    staged_bucket(s, "m/", RANGE);
    stores_patience(s->stores, 300);
    emulator_faults(&remote,
                    ON_SHARDS "\"from\":50,\"times\":2,\"do\":{\"after_bytes\":100,\"then\":\"stall\"}}]}");
    double begun = clock_ms();
    load_new(&l, remote_bucket(s), "m/", WHERE, 4);
    load_all(&l);
    expect_tiny(&l);
    assert_true(clock_ms() - begun < 15e3);
    load_free(&l);
}

static const struct {
    const char *name, *fault;
    bool manifest;
    enum err_kind kind;
    const char *says[2];
} failed[] = {
    {"every read wrong", "corrupt-byte-always", true, ERR_CORRUPT, {"CRC32C", "expected"}},
    {"a range wrong twice",
     ON_SHARDS "\"from\":9,\"times\":330,\"do\":{\"corrupt_byte\":7}}]}",
     true,
     ERR_CORRUPT,
     {"CRC32C", "and so again when it was fetched again: stage it anew"}},
    {"a header wrong twice",
     ON_SHARDS "\"times\":12,\"do\":{\"corrupt_byte\":7}}]}",
     true,
     ERR_CORRUPT,
     {"from byte 0 on it is not what ferry-manifest.json says, and so again", "model-0000"}},
    {"no manifest and a wrong byte",
     ON_SHARDS "\"from\":2,\"do\":{\"corrupt_byte\":300000}}]}",
     false,
     ERR_CORRUPT,
     {"CRC32C of what came is", "model-0000"}},
    {"replaced meanwhile",
     ON_SHARDS "\"from\":20,\"do\":{\"change_object\":true}}]}",
     true,
     ERR_BUSY,
     {"model-0000", "gs://model-bkt/m/"}},
    {"503 for ever",
     ON_SHARDS "\"from\":20,\"times\":0,\"do\":{\"status\":503}}]}",
     true,
     ERR_TRANSIENT,
     {"after 5 tries", "model-0000"}},
    {"no right any more",
     ON_SHARDS "\"from\":20,\"times\":0,\"do\":{\"status\":403}}]}",
     true,
     ERR_AUTH,
     {"model-0000", "403"}},
};

static void load_that_fails_says_which_file_and_why(void **state)
{
    struct scratch *s = *state;
    for (size_t i = 0; i < sizeof failed / sizeof *failed; i++) {
        struct load l;
        struct err e = {0}, told = {0};
        emulator_faults(&remote, NULL);
        staged_bucket(s, failed[i].manifest ? "m/" : "plain/", failed[i].manifest ? RANGE : 0);
        emulator_faults(&remote, failed[i].fault);
        load_new(&l, remote_bucket(s), failed[i].manifest ? "m/" : "plain/", WHERE, 4);
        l.open = loader_open(l.loader, &l.model, &e);
        bool ok = l.open && loader_run(l.loader, &e);
        if (ok || e.kind != failed[i].kind || !strstr(e.text, failed[i].says[0]) ||
            !strstr(e.text, failed[i].says[1]) || !strstr(e.text, WHERE))
            fail_msg("%s: kind %d: %s", failed[i].name, e.kind, e.text);
        if (l.open) {
            assert_true(arrival_failed(l.arrival, &told));
            assert_string_equal(told.text, e.text);
        }
        load_free(&l);
    }
}

/* Nothing is asked of the network twice as it gets slow as a whole, as when a processor is throttled. */
static void what_is_slow_for_all_is_asked_for_once(void **state)
{
    struct scratch *s = *state;
    struct load l;
    staged_bucket(s, "m/", 65536);
    load_new(&l, remote_bucket(s), "m/", WHERE, 4);
    load_open(&l);
    emulator_faults(&remote, ON_SHARDS "\"from\":8,\"times\":8,\"do\":{\"bytes_per_second\":60000}}]}");
    emulator_log_clear(&remote);
    struct err e = {0};
    assert_true(loader_run(l.loader, &e));
    expect_tiny(&l);
    uint64_t sent = emulator_count(&remote, "GET", "*.safetensors[?]*alt=media*", 0).sent;
    assert_in_range(sent, loader_bytes(l.loader) - 3 * 65536, loader_bytes(l.loader));
    load_free(&l);
}

static int start(void **state)
{
    (void)state;
    return remote_start(NULL);
}

static int stop(void **state)
{
    (void)state;
    return remote_stop();
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, remote_setup, remote_teardown)
    const struct CMUnitTest tests[] = {
        CASE(load_that_fails_says_which_file_and_why),
        CASE(token_that_ends_midway_is_replaced),
        CASE(late_range_is_asked_for_again),
        CASE(what_is_slow_for_all_is_asked_for_once),
        CASE(load_recovers),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
