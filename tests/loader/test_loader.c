/* Where a model comes from, in which order, and what is refused. */
#include "staged.h"

#include "base/clock.h"
#include "store/manifest.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { RANGE = 4096 };
#define WHERE "gs://" BUCKET "/m"

/* --- what is refused --- */

static void expect_refused(struct scratch *s, const char *prefix, enum err_kind kind, const char *part)
{
    struct load l;
    struct err e = {0};
    load_new(&l, remote_bucket(s), prefix, WHERE, 4);
    assert_false(loader_open(l.loader, &l.model, &e));
    assert_error(&e, kind, part);
    assert_ptr_equal(strstr(e.text, WHERE), e.text); /* says where */
    load_free(&l);
}

static void put(struct scratch *s, const char *name, const char *text)
{
    struct err e = {0};
    if (!store_put(remote_bucket(s), name, text, strlen(text), STORAGE_ANY_GENERATION, s->arena, NULL, &e))
        fail_msg("%s", e.text);
}

static void delete (struct scratch *s, const char *name)
{
    struct entry entry;
    struct err e = {0};
    assert_true(store_stat(remote_bucket(s), name, s->arena, &entry, &e));
    assert_true(store_delete(remote_bucket(s), &entry, &e));
}

static void place_without_a_model_is_refused(void **state)
{
    struct scratch *s = *state;
    expect_refused(s, "nothing/", ERR_NOT_FOUND, "nothing is there, expected a model's files");
    put(s, "no-config/readme", "x");
    expect_refused(s, "no-config/", ERR_NOT_FOUND, "/config.json: No such file or directory");
    put(s, "no-shards/config.json", "{\"model_type\":\"qwen2\"}");
    expect_refused(s, "no-shards/", ERR_NOT_FOUND,
                   "neither model.safetensors nor model.safetensors.index.json there");
    put(s, "bad-config/config.json", "{\"model_type\":\"llama\"}");
    expect_refused(s, "bad-config/", ERR_UNSUPPORTED, "model_type is \"llama\"");
    put(s, "empty-shard/config.json", "{\"model_type\":\"qwen2\"}");
    put(s, "empty-shard/model.safetensors", "x");
    expect_refused(s, "empty-shard/", ERR_CORRUPT, "model.safetensors: 1 bytes, expected a safetensors file");
}

static void staging_that_is_not_complete_is_refused(void **state)
{
    struct scratch *s = *state;
    staged_bucket(s, "half/", 0);
    put(s, "half/.ferry/journal-x", "…");
    expect_refused(s, "half/", ERR_NOT_FOUND,
                   "is being staged there and is not complete: `ferry stage` goes on");
}

static void file_that_is_not_as_it_was_staged_is_refused(void **state)
{
    struct scratch *s = *state;
    staged_bucket(s, "a/", RANGE);
    put(s, "a/vocab.json", "{}");
    expect_refused(s, "a/", ERR_CORRUPT, "vocab.json: has 2 bytes, 10517 when it was staged");
    staged_bucket(s, "b/", RANGE);
    put(s, "b/tokenizer.json", "{}"); /* unknown, but not needed either */
    delete (s, "b/" SHARD_2);
    expect_refused(s, "b/", ERR_NOT_FOUND, SHARD_2 ": is not there");
    staged_bucket(s, "c/", RANGE);
    size_t size;
    char *shard = scratch_read(s, TINY "/" SHARD_2, &size);
    shard[size - 1] ^= 1;
    struct err e = {0};
    assert_true(
        store_put(remote_bucket(s), "c/" SHARD_2, shard, size, STORAGE_ANY_GENERATION, s->arena, NULL, &e));
    expect_refused(s, "c/", ERR_CORRUPT, SHARD_2 ": is another file than when it was staged");
    staged_bucket(s, "d/", RANGE);
    put(s, "d/" MANIFEST_NAME, "{\"ferry\":1}");
    expect_refused(s, "d/", ERR_CORRUPT, MANIFEST_NAME ": ferry is something else, expected a string");
    staged_bucket(s, "e/", 0);
    put(s, "e/" MANIFEST_NAME,
        "{\"ferry\":\"0\",\"source\":\"x\",\"created\":\"y\",\"range_bytes\":4096,\"files\":[]}");
    expect_refused(s, "e/", ERR_CORRUPT, "is not in " MANIFEST_NAME);
}

static void tensors_are_checked_before_weights_are_fetched(void **state)
{
    struct scratch *s = *state;
    staged_bucket(s, "f/", 0);
    put(s, "f/config.json", "{\"model_type\":\"qwen2\"}");
    emulator_log_clear(&remote);
    expect_refused(s, "f/", ERR_UNSUPPORTED, "not part of the model that config.json describes");
    assert_in_range(emulator_count(&remote, "GET", "*.safetensors[?]*alt=media*", 0).requests, 1, 3);
}

/* --- where it comes from --- */

static void model_comes_from_a_bucket(void **state)
{
    struct scratch *s = *state;
    struct load l;
    struct arrival_progress p;
    staged_bucket(s, "m/", RANGE);
    load_new(&l, remote_bucket(s), "m/", WHERE, 8);
    load_all(&l);
    expect_tiny(&l);
    assert_string_equal(l.model.name, "m");
    arrival_progress(l.arrival, &p);
    assert_int_equal(p.state, LOAD_LOADED);
    assert_int_equal(p.bytes, p.total);
    assert_int_equal(p.total, loader_bytes(l.loader));
    assert_int_equal(p.reached, p.stages);
    double sum = 0;
    for (int i = 0; i < PHASE_COUNT; i++)
        sum += p.phase_ms[i];
    assert_true(sum > p.elapsed_ms - 0.001 && sum < p.elapsed_ms + 0.001);
    assert_true(p.phase_ms[PHASE_FILES] > 0 && p.phase_ms[PHASE_HEADERS] > 0);
    load_free(&l);
}

static void every_byte_is_fetched_once(void **state)
{
    struct scratch *s = *state;
    struct load l;
    staged_bucket(s, "m/", RANGE);
    emulator_log_clear(&remote);
    load_new(&l, remote_bucket(s), "m/", WHERE, 4);
    load_all(&l);
    uint64_t sent = emulator_count(&remote, "GET", "*.safetensors[?]*alt=media*", 206).sent;
    assert_int_equal(sent, loader_bytes(l.loader));
    load_free(&l);
}

static void model_without_a_manifest_comes_too(void **state)
{
    struct scratch *s = *state;
    struct load l;
    staged_bucket(s, "plain/", 0);
    load_new(&l, remote_bucket(s), "plain/", WHERE, 8);
    load_all(&l);
    expect_tiny(&l);
    load_free(&l);
}

static void model_comes_from_a_folder(void **state)
{
    struct scratch *s = *state;
    for (uint32_t range = 0; range <= 65536; range += 65536) {
        struct load l;
        const char *folder = staged_folder(s, range ? "with" : "without", range);
        load_new(&l, s->local, folder, folder, 3);
        load_all(&l);
        expect_tiny(&l);
        load_free(&l);
    }
}

static void model_comes_from_the_hub(void **state)
{
    struct scratch *s = *state;
    struct load l;
    load_new(&l, remote_open(s, "hf://owner/name"), "", "hf://owner/name", 8);
    load_all(&l);
    expect_tiny(&l);
    assert_string_equal(l.model.name, "name");
    load_free(&l);
}

static void small_files_are_read_from_memory(void **state)
{
    struct scratch *s = *state;
    struct load l;
    struct err e = {0};
    const char *bytes;
    size_t size, expected_size;
    staged_bucket(s, "m/", RANGE);
    load_new(&l, remote_bucket(s), "m/", WHERE, 4);
    load_open(&l);
    emulator_log_clear(&remote);
    const struct file_source *files = loader_files(l.loader);
    const char *expected = scratch_read(s, TINY "/vocab.json", &expected_size);
    assert_true(files->read(files, "vocab.json", 1 << 20, s->arena, &bytes, &size, &e));
    assert_int_equal(size, expected_size);
    assert_string_equal(bytes, expected);
    assert_true(files->read(files, "tokenizer.json", 1 << 20, s->arena, &bytes, &size, &e));
    assert_null(bytes);
    assert_false(files->read(files, "vocab.json", 100, s->arena, &bytes, &size, &e));
    assert_int_equal(e.kind, ERR_LIMIT);
    json_t *log = emulator_log(&remote);
    assert_int_equal(json_array_size(log), 0);
    json_decref(log);
    load_free(&l);
}

static void loaded_weights_cannot_be_written(void **state)
{
    struct scratch *s = *state;
    struct load l;
    int fds[2];
    staged_bucket(s, "m/", RANGE);
    load_new(&l, remote_bucket(s), "m/", WHERE, 4);
    load_all(&l);
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    /* the kernel says so without a signal */
    assert_int_equal(read(fds[0], (void *)(uintptr_t)l.model.weights->embedding.data, 1), -1);
    close(fds[0]);
    close(fds[1]);
    load_free(&l);
}

/* --- in which order --- */

enum { FRONT, ENCODER_0, ENCODER_1, PROJECTOR, DECODER_0, DECODER_1, DECODER_2, HEAD, EMBEDDING, STAGES };

/* Slow enough that what comes next shows: a range of 4 KiB takes 20 ms. */
#define TRICKLE                                                                                              \
    "{\"faults\":[{\"method\":\"GET\",\"path\":\"*safetensors\",\"query\":\"*alt=media*\",\"times\":0,"      \
    "\"do\":{\"bytes_per_second\":200000}}]}"

static void expect_order(const struct load *l, const int order[STAGES])
{
    for (int i = 1; i < STAGES; i++) {
        struct arrival_stage before = arrival_stage(l->arrival, order[i - 1]),
                             after = arrival_stage(l->arrival, order[i]);
        if (before.arrived_ms > after.arrived_ms)
            fail_msg("%s after %.3f ms, %s after %.3f ms", before.name, before.arrived_ms, after.name,
                     after.arrived_ms);
    }
}

static void load_in_order(struct scratch *s, struct load *l, const char *prefix)
{
    load_new(l, remote_bucket(s), prefix, WHERE, 1);
    load_open(l);
}

static void without_a_request_the_tower_comes_first_and_the_embedding_last(void **state)
{
    static const int order[STAGES] = {FRONT,     ENCODER_0, ENCODER_1, PROJECTOR, DECODER_0,
                                      DECODER_1, DECODER_2, HEAD,      EMBEDDING};
    struct scratch *s = *state;
    struct load l;
    struct err e = {0};
    staged_bucket(s, "m/", RANGE);
    load_in_order(s, &l, "m/");
    assert_true(loader_run(l.loader, &e));
    expect_order(&l, order);
    load_free(&l);
}

static void for_text_the_decoder_comes_first(void **state)
{
    static const int order[STAGES] = {DECODER_0, DECODER_1, DECODER_2, HEAD,     FRONT,
                                      ENCODER_0, ENCODER_1, PROJECTOR, EMBEDDING};
    struct scratch *s = *state;
    struct load l;
    struct err e = {0};
    staged_bucket(s, "m/", RANGE);
    load_in_order(s, &l, "m/");
    arrival_ask(l.arrival, false);
    assert_true(loader_run(l.loader, &e));
    expect_order(&l, order);
    load_free(&l);
}

static void recording_beside_text_brings_the_tower_first(void **state)
{
    static const int order[STAGES] = {FRONT,     ENCODER_0, ENCODER_1, PROJECTOR, DECODER_0,
                                      DECODER_1, DECODER_2, HEAD,      EMBEDDING};
    struct scratch *s = *state;
    struct load l;
    struct err e = {0};
    staged_bucket(s, "m/", RANGE);
    load_in_order(s, &l, "m/");
    arrival_ask(l.arrival, false);
    arrival_ask(l.arrival, true);
    assert_true(loader_run(l.loader, &e));
    expect_order(&l, order);
    load_free(&l);
}

/* loader_run on a thread. */
struct run {
    struct load *load;
    bool ok;
    struct err e;
    pthread_t thread;
};

static void *run_on_thread(void *arg)
{
    struct run *r = arg;
    r->ok = loader_run(r->load->loader, &r->e);
    return NULL;
}

static void begin_run(struct run *r, struct load *l)
{
    *r = (struct run){.load = l};
    assert_int_equal(pthread_create(&r->thread, NULL, run_on_thread, r), 0);
}

/* Enough is seen. */
static void cut_run(struct run *r)
{
    double begun = clock_ms();
    loader_stop(r->load->loader);
    pthread_join(r->thread, NULL);
    assert_true(clock_ms() - begun < 3000);
    assert_false(r->ok);
    assert_int_equal(r->e.kind, ERR_CANCELLED);
    assert_true(arrival_failed(r->load->arrival, NULL));
}

static void order_follows_who_waits(void **state)
{
    struct scratch *s = *state;
    struct load l;
    struct run r;
    struct err e = {0};
    staged_bucket(s, "m/", RANGE);
    load_in_order(s, &l, "m/");
    emulator_faults(&remote, TRICKLE);
    begin_run(&r, &l);
    assert_true(arrival_wait(l.arrival, FRONT, &e));
    arrival_ask(l.arrival, false);
    assert_true(arrival_wait(l.arrival, HEAD, &e));
    assert_false(arrival_has(l.arrival, PROJECTOR));
    cut_run(&r);
    load_free(&l);
}

static void rows_that_are_asked_for_come_before_anything_else(void **state)
{
    static const int ids[] = {5, 700, 1027};
    struct scratch *s = *state;
    struct load l;
    struct run r;
    struct err e = {0};
    struct arrival_progress before, after;
    staged_bucket(s, "m/", RANGE);
    load_in_order(s, &l, "m/");
    emulator_faults(&remote, TRICKLE);
    arrival_progress(l.arrival, &before);
    assert_false(arrival_has_rows(l.arrival, ids, 3, -1));
    arrival_want_rows(l.arrival, ids, 2, -1);
    begin_run(&r, &l);
    assert_true(arrival_wait_rows(l.arrival, ids, 3, 1027, &e));
    arrival_progress(l.arrival, &after);
    assert_in_range(after.bytes - before.bytes, RANGE, 5 * RANGE);
    assert_false(arrival_has(l.arrival, EMBEDDING));
    cut_run(&r);
    load_free(&l);
}

/* --- the end --- */

static void stopping_while_opening_ends_it(void **state)
{
    struct scratch *s = *state;
    struct load l;
    struct err e = {0};
    staged_bucket(s, "m/", RANGE);
    load_new(&l, remote_bucket(s), "m/", WHERE, 4);
    loader_stop(l.loader);
    assert_false(loader_open(l.loader, &l.model, &e));
    assert_int_equal(e.kind, ERR_CANCELLED);
    load_free(&l);
}

static void stopping_between_opening_and_running_ends_it(void **state)
{
    struct scratch *s = *state;
    struct load l;
    struct err e = {0};
    staged_bucket(s, "m/", RANGE);
    load_new(&l, remote_bucket(s), "m/", WHERE, 4);
    load_open(&l);
    loader_stop(l.loader);
    assert_false(loader_run(l.loader, &e));
    assert_int_equal(e.kind, ERR_CANCELLED);
    load_free(&l);
}

/* --- all of them --- */

static char hub[300];

static int remove_hub(void)
{
    char command[400];
    snprintf(command, sizeof command, "rm -rf '%s'", hub);
    return system(command);
}

static int start(void **state)
{
    char command[900];
    const char *tmp = getenv("TMPDIR");
    (void)state;
    snprintf(hub, sizeof hub, "%.200s/ferry-hub-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(hub))
        return -1;
    snprintf(command, sizeof command, "mkdir -p '%s/owner' && cp -rL " TINY " '%s/owner/name'", hub, hub);
    return system(command) == 0 ? remote_start(hub) : -1;
}

static int stop(void **state)
{
    (void)state;
    return remote_stop() | remove_hub();
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, remote_setup, remote_teardown)
    const struct CMUnitTest tests[] = {
        CASE(place_without_a_model_is_refused),
        CASE(staging_that_is_not_complete_is_refused),
        CASE(file_that_is_not_as_it_was_staged_is_refused),
        CASE(tensors_are_checked_before_weights_are_fetched),
        CASE(model_comes_from_a_bucket),
        CASE(every_byte_is_fetched_once),
        CASE(model_without_a_manifest_comes_too),
        CASE(model_comes_from_a_folder),
        CASE(model_comes_from_the_hub),
        CASE(small_files_are_read_from_memory),
        CASE(loaded_weights_cannot_be_written),
        CASE(without_a_request_the_tower_comes_first_and_the_embedding_last),
        CASE(for_text_the_decoder_comes_first),
        CASE(recording_beside_text_brings_the_tower_first),
        CASE(order_follows_who_waits),
        CASE(rows_that_are_asked_for_come_before_anything_else),
        CASE(stopping_while_opening_ends_it),
        CASE(stopping_between_opening_and_running_ends_it),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
