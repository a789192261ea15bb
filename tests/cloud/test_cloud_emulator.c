/* The cloud layer against the emulator, with faults. */
#include "base/crc32c.h"
#include "client.h"
#include "cloud/hub.h"
#include "cloud/storage.h"
#include "keys.h"
#include "run_emulator.h"

#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { LARGE = 6 << 20, SMALL = 1000 };

static const struct retry_policy patient = {
    .first_ms = 5, .cap_ms = 50, .max_tries = 6, .max_seconds = 30, .longest_wait_s = 5};

static struct emulator emulator;
static struct http *http;
static struct gcloud_config config = {.active = "default", .folder = "/nonexistent/gcloud"};
static char folder[] = "/tmp/ferry-cloud-XXXXXX";
static EVP_PKEY *key;
static char bytes[LARGE];

static void write_file(const char *name, const void *data, size_t size)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static char *in_folder(struct arena *a, const char *name)
{
    return arena_printf(a, "%s/%s", folder, name);
}

static int start_all(void **state)
{
    struct err e = {0};
    static char hub[64], pem[64];
    char path[100];
    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 2654435761u >> 13);
    if (!mkdtemp(folder))
        return -1;
    snprintf(hub, sizeof hub, "%s/hub", folder);
    snprintf(pem, sizeof pem, "%s/public.pem", folder);
    for (const char *const *d = (const char *const[]){"hub", "hub/owner", "hub/owner/name", NULL}; *d; d++) {
        snprintf(path, sizeof path, "%s/%s", folder, *d);
        if (mkdir(path, 0700) != 0)
            return -1;
    }
    write_file("hub/owner/name/config.json", "{\"a\":1}\n", 8);
    write_file("hub/owner/name/model.safetensors", bytes, LARGE);
    key = make_key();
    FILE *f = fopen(pem, "w");
    if (!f || PEM_write_PUBKEY(f, key) != 1 || fclose(f) != 0)
        return -1;
    emulator_start(&emulator, &(struct emulator_options){
                                  .bucket = "model-bkt", .hub = hub, .public_key = pem, .lfs_bytes = 100});
    emulator_setenv(&emulator);
    http = http_new(&e);
    return http ? 0 : -1;
}

static int stop_all(void **state)
{
    static const char *const names[] = {"hub/owner/name/config.json",
                                        "hub/owner/name/model.safetensors",
                                        "hub/owner/name",
                                        "hub/owner",
                                        "hub",
                                        "public.pem",
                                        "key.json",
                                        ""};
    (void)state;
    http_free(http);
    emulator_stop(&emulator);
    EVP_PKEY_free(key);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[200];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        remove(path);
    }
    return 0;
}

/* A cloud of the test's own. */
static int open_cloud(void **state)
{
    struct client *c = calloc(1, sizeof *c);
    struct err e = {0};
    emulator_setenv(&emulator);
    c->arena = arena_new(64 << 20);
    c->cloud = cloud_new(http, &config, &e);
    cloud_set_retry(c->cloud, &patient);
    *state = c;
    return 0;
}

static int close_cloud(void **state)
{
    struct client *c = *state;
    emulator_faults(&emulator, NULL);
    cloud_free(c->cloud);
    arena_free(c->arena);
    free(c);
    return 0;
}

static void must(bool ok, const struct err *e)
{
    if (!ok)
        fail_msg("%s", e->text);
}

static const struct storage_put small = {"model-bkt", "dir/a b#%\xe3\x81\x82", "text/plain", bytes,
                                         SMALL,       STORAGE_ANY_GENERATION};

static void put_small(struct client *c, struct object *o)
{
    struct err e = {0};
    must(storage_put(c->cloud, &small, c->arena, o, &e), &e);
    assert_int_equal(o->size, SMALL);
    assert_int_equal(o->crc32c, crc32c(0, bytes, SMALL));
}

static bool count(void *arg, const struct object *o, struct err *e)
{
    (void)e;
    *(int *)arg += strcmp(o->name, small.name) == 0;
    return true;
}

static void object_is_put_listed_copied_read_and_deleted(void **state)
{
    struct client *c = *state;
    struct object o, again;
    struct err e = {0};
    int seen = 0;
    char back[100];
    struct storage_list l = {.bucket = "model-bkt", .prefix = "dir/", .on_object = count, .arg = &seen};
    put_small(c, &o);
    must(storage_stat(c->cloud, "model-bkt", small.name, c->arena, &again, &e), &e);
    assert_int_equal(again.generation, o.generation);
    must(storage_list(c->cloud, &l, &e), &e);
    assert_int_equal(seen, 1);
    struct rewrite_state at = {0};
    const struct storage_rewrite copy = {.from_bucket = "model-bkt",
                                         .from = &o,
                                         .bucket = "model-bkt",
                                         .name = "copy",
                                         .if_generation = STORAGE_ANY_GENERATION};
    must(storage_rewrite(c->cloud, &copy, &at, c->arena, &again, &e), &e);
    assert_true(at.done);
    assert_int_equal(again.crc32c, o.crc32c);
    must(storage_read(c->cloud, "model-bkt", "copy", again.generation, 500, 100, back, NULL, &e), &e);
    assert_memory_equal(back, bytes + 500, 100);
    must(storage_delete(c->cloud, "model-bkt", "copy", again.generation, &e), &e);
    assert_false(storage_stat(c->cloud, "model-bkt", "copy", c->arena, &again, &e));
    assert_int_equal(e.kind, ERR_NOT_FOUND);
}

/* The last request of gcloud's cp from bucket to bucket, as it was recorded. */
static json_t *recorded_rewrite(void)
{
    json_t *all = json_load_file("data/captures/gcloud-528.json", 0, NULL);
    const json_t *asked = json_object_get(json_object_get(all, "storage-cp-cloud-to-cloud"), "requests");
    json_t *last = json_incref(json_array_get(asked, json_array_size(asked) - 1));
    json_decref(all);
    return last;
}

/* Apart from what gcloud says of the copy (its body: what the source says anyway, which is copied when
 * nothing is said), that ACLs are not asked for, and which generation is meant. */
static void copy_asks_as_gcloud_does(void **state)
{
    struct client *c = *state;
    struct storage_put p = small;
    struct err e = {0};
    struct object from, o;
    struct rewrite_state at = {0};
    char expected[300];
    json_t *theirs = recorded_rewrite();
    const char *path = json_string_value(json_object_get(theirs, "path"));
    assert_string_equal(strchr(path, '?'), "?alt=json&maxBytesRewrittenPerCall=104857600");
    p.name = "models/mid.bin";
    must(storage_put(c->cloud, &p, c->arena, &from, &e), &e);
    snprintf(expected, sizeof expected,
             "%.*s?projection=noAcl&maxBytesRewrittenPerCall=104857600&sourceGeneration=%lld",
             (int)strcspn(path, "?"), path, (long long)from.generation);
    emulator_log_clear(&emulator);
    const struct storage_rewrite copy = {.from_bucket = "model-bkt",
                                         .from = &from,
                                         .bucket = "model-bkt",
                                         .name = "copy/mid.bin",
                                         .if_generation = STORAGE_ANY_GENERATION};
    must(storage_rewrite(c->cloud, &copy, &at, c->arena, &o, &e), &e);
    assert_string_equal(o.content_type, p.content_type);
    json_t *log = emulator_log(&emulator), *ours = json_array_get(log, 0);
    assert_string_equal(json_string_value(json_object_get(ours, "path")), expected);
    assert_string_equal(json_string_value(json_object_get(ours, "method")),
                        json_string_value(json_object_get(theirs, "method")));
    assert_string_equal(json_string_value(json_object_get(ours, "call")), "storage.objects.rewrite");
    json_decref(log);
    json_decref(theirs);
}

static void object_of_the_same_name_is_not_replaced(void **state)
{
    struct client *c = *state;
    struct storage_put p = small;
    struct object o;
    struct err e = {0};
    put_small(c, &o);
    p.if_generation = STORAGE_ABSENT;
    assert_false(storage_put(c->cloud, &p, NULL, NULL, &e));
    expect_error(&e, ERR_BUSY, "HTTP 412");
    assert_false(storage_delete(c->cloud, "model-bkt", small.name, o.generation + 1, &e));
    expect_error(&e, ERR_BUSY, "HTTP 412");
}

static void reads_survive_what_passes(void **state)
{
    struct client *c = *state;
    static const char *const faults[] = {"reset-while-reading",     "short-body",          "range-ignored",
                                         "unavailable-after-bytes", "wrong-content-range", "short-range",
                                         "rate-limit-retry-after",  "unavailable-answer"};
    struct object o;
    char back[SMALL];
    put_small(c, &o);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        struct err e = {0};
        emulator_faults(&emulator, faults[i]);
        memset(back, 0, sizeof back);
        if (!storage_read(c->cloud, "model-bkt", small.name, o.generation, 0, SMALL, back, NULL, &e))
            fail_msg("%s: %s", faults[i], e.text);
        assert_memory_equal(back, bytes, SMALL);
    }
}

static char *begin_parts(struct client *c, struct part_tag parts[2])
{
    struct err e = {0};
    char *id = multipart_begin(c->cloud, "model-bkt", "large", NULL, c->arena, &e);
    must(id != NULL, &e);
    must(multipart_part(c->cloud, "model-bkt", "large", id, 2, bytes + MULTIPART_MIN_PART,
                        LARGE - MULTIPART_MIN_PART, NULL, &parts[1], &e),
         &e);
    must(
        multipart_part(c->cloud, "model-bkt", "large", id, 1, bytes, MULTIPART_MIN_PART, NULL, &parts[0], &e),
        &e);
    return id;
}

static void parts_become_an_object_even_when_the_seals_answer_is_lost(void **state)
{
    struct client *c = *state;
    struct part_tag parts[2], *listed;
    struct object o;
    struct err e = {0};
    int n;
    char *id = begin_parts(c, parts);
    must(multipart_list(c->cloud, "model-bkt", "large", id, c->arena, &listed, &n, &e), &e);
    assert_int_equal(n, 2);
    assert_string_equal(listed[1].etag, parts[1].etag);
    assert_int_equal(listed[1].size, LARGE - MULTIPART_MIN_PART);
    emulator_faults(&emulator, "lost-answer-of-seal");
    must(multipart_seal(c->cloud, "model-bkt", "large", id, parts, 2, &e), &e);
    must(storage_stat(c->cloud, "model-bkt", "large", c->arena, &o, &e), &e);
    assert_int_equal(o.crc32c, crc32c(0, bytes, LARGE));
}

static void aborted_upload_is_gone(void **state)
{
    struct client *c = *state;
    struct part_tag parts[2], *listed;
    struct err e = {0};
    int n;
    char *id = begin_parts(c, parts);
    must(multipart_abort(c->cloud, "model-bkt", "large", id, &e), &e);
    assert_false(multipart_list(c->cloud, "model-bkt", "large", id, c->arena, &listed, &n, &e));
    assert_int_equal(e.kind, ERR_NOT_FOUND);
}

static void endpoint_without_multipart_is_recognised(void **state)
{
    struct client *c = *state;
    struct err e = {0};
    emulator_faults(&emulator, "no-multipart");
    assert_null(multipart_begin(c->cloud, "model-bkt", "large", NULL, c->arena, &e));
    assert_int_equal(e.kind, ERR_UNSUPPORTED);
}

static void session_takes_an_object_in_chunks(void **state)
{
    struct client *c = *state;
    static const char *const faults[] = {NULL, "reset-while-writing", "lost-answer-of-seal",
                                         "token-dies-midway"};
    uint32_t crc = crc32c(0, bytes, LARGE);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        struct err e = {0};
        struct object o;
        uint64_t held, first = 16 * RESUMABLE_UNIT;
        bool done;
        char name[40];
        snprintf(name, sizeof name, "session-%zu", i);
        char *s = resumable_begin(c->cloud, "model-bkt", name, NULL, LARGE, STORAGE_ABSENT, c->arena, &e);
        must(s != NULL, &e);
        must(resumable_send(c->cloud, s, 0, bytes, first, LARGE, crc, NULL, &e), &e);
        must(resumable_held(c->cloud, s, LARGE, &held, &done, &e), &e);
        assert_int_equal(held, first);
        assert_false(done);
        emulator_faults(&emulator, faults[i]);
        if (!resumable_send(c->cloud, s, first, bytes + first, LARGE - first, LARGE, crc, NULL, &e))
            fail_msg("%s: %s", faults[i] ? faults[i] : "no fault", e.text);
        emulator_faults(&emulator, NULL);
        must(storage_stat(c->cloud, "model-bkt", name, c->arena, &o, &e), &e);
        assert_int_equal(o.crc32c, crc);
    }
}

static void session_that_has_lost_bytes_begins_anew(void **state)
{
    struct client *c = *state;
    struct err e = {0};
    uint64_t first = 16 * RESUMABLE_UNIT;
    char *s = resumable_begin(c->cloud, "model-bkt", "lost", NULL, LARGE, STORAGE_ABSENT, c->arena, &e);
    must(s != NULL, &e);
    must(resumable_send(c->cloud, s, 0, bytes, first, LARGE, 0, NULL, &e), &e);
    emulator_faults(&emulator, "resume-without-range");
    assert_false(resumable_send(c->cloud, s, first, bytes + first, LARGE - first, LARGE, 0, NULL, &e));
    expect_error(&e, ERR_NOT_FOUND, "has lost bytes: it holds 0");
}

static void wrong_checksum_makes_no_object(void **state)
{
    struct client *c = *state;
    struct err e = {0};
    struct object o;
    char *s = resumable_begin(c->cloud, "model-bkt", "wrong", NULL, SMALL, STORAGE_ABSENT, c->arena, &e);
    must(s != NULL, &e);
    assert_false(resumable_send(c->cloud, s, 0, bytes, SMALL, SMALL, 1, NULL, &e));
    assert_false(storage_stat(c->cloud, "model-bkt", "wrong", c->arena, &o, &e));
    assert_int_equal(e.kind, ERR_NOT_FOUND);
}

static void cancelled_session_is_gone(void **state)
{
    struct client *c = *state;
    struct err e = {0};
    uint64_t held;
    bool done;
    char *s = resumable_begin(c->cloud, "model-bkt", "gone", NULL, SMALL, STORAGE_ABSENT, c->arena, &e);
    must(s && resumable_cancel(c->cloud, s, &e), &e);
    assert_false(resumable_held(c->cloud, s, SMALL, &held, &done, &e));
    assert_int_equal(e.kind, ERR_NOT_FOUND);
}

/* --- tokens --- */

static void use_file(struct client *c, const char *text)
{
    write_file("key.json", text, strlen(text));
    unsetenv("FERRY_ACCESS_TOKEN");
    setenv("GOOGLE_APPLICATION_CREDENTIALS", in_folder(c->arena, "key.json"), 1);
}

static void use_login(struct client *c, const char *refresh)
{
    use_file(c, arena_printf(c->arena,
                             "{\"type\":\"authorized_user\",\"client_id\":\"%s\",\"client_secret\":\"%s\","
                             "\"refresh_token\":\"%s\"}",
                             EMULATOR_CLIENT_ID, EMULATOR_CLIENT_SECRET, refresh));
}

static void login_works_until_it_is_revoked(void **state)
{
    struct client *c = *state;
    struct object o;
    struct err e = {0};
    use_login(c, EMULATOR_REFRESH_GOOD);
    put_small(c, &o);
    static const struct {
        const char *refresh, *says;
    } cases[] = {{EMULATOR_REFRESH_REVOKED, "expired or was revoked"},
                 {EMULATOR_REFRESH_RAPT, "your organisation asks for a new login"}};
    for (size_t i = 0; i < 2; i++) {
        use_login(c, cases[i].refresh);
        struct cloud *fresh = cloud_new(http, &config, &e);
        assert_false(storage_stat(fresh, "model-bkt", small.name, c->arena, &o, &e));
        cloud_free(fresh);
        expect_error(&e, ERR_AUTH, cases[i].says);
    }
}

static void token_that_dies_midway_is_replaced(void **state)
{
    struct client *c = *state;
    struct object o;
    use_login(c, EMULATOR_REFRESH_GOOD);
    emulator_faults(&emulator, "token-dies-midway");
    for (int i = 0; i < 5; i++)
        put_small(c, &o);
}

static void service_account_signs_what_google_takes(void **state)
{
    struct client *c = *state;
    struct object o;
    struct err e = {0};
    char uri[100];
    snprintf(uri, sizeof uri, "%s/token", emulator_url(&emulator));
    char *text = service_account_text(key, uri);
    use_file(c, text);
    put_small(c, &o);
    emulator_faults(&emulator, "clock-skew");
    struct cloud *fresh = cloud_new(http, &config, &e);
    assert_false(storage_stat(fresh, "model-bkt", small.name, c->arena, &o, &e));
    cloud_free(fresh);
    expect_error(&e, ERR_AUTH, "minutes behind");
    free(text);
}

static void machine_has_a_token_of_its_own(void **state)
{
    struct client *c = *state;
    struct object o;
    struct err e = {0};
    unsetenv("FERRY_ACCESS_TOKEN");
    unsetenv("GOOGLE_APPLICATION_CREDENTIALS");
    put_small(c, &o);
    assert_non_null(strstr(token_source_name(cloud_tokens(c->cloud, &e)), "metadata server"));
}

/* --- the hub --- */

static void hub_survives_what_passes(void **state)
{
    struct client *c = *state;
    static const char *const faults[] = {NULL,         "signed-url-expires",  "range-ignored",
                                         "short-body", "reset-while-reading", "hub-rate-limit"};
    char *back = arena_alloc(c->arena, LARGE, 1);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        struct hub_repo r;
        struct err e = {0};
        struct hub *h = hub_new(http, &e);
        hub_set_retry(h, &patient);
        emulator_faults(&emulator, faults[i]);
        must(hub_open(h, "owner/name", NULL, c->arena, &r, &e), &e);
        assert_int_equal(r.count, 2);
        assert_null(r.files[0].sha256);
        assert_non_null(r.files[1].sha256);
        memset(back, 0, LARGE);
        must(hub_read(h, &r, &r.files[0], 0, 8, back, NULL, &e), &e);
        assert_memory_equal(back, "{\"a\":1}\n", 8);
        for (size_t at = 0; at < LARGE; at += LARGE / 3)
            if (!hub_read(h, &r, &r.files[1], at, LARGE / 3, back + at, NULL, &e))
                fail_msg("%s: %s", faults[i] ? faults[i] : "no fault", e.text);
        assert_memory_equal(back, bytes, LARGE);
        hub_free(h);
    }
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, open_cloud, close_cloud)
    const struct CMUnitTest tests[] = {
        CASE(object_is_put_listed_copied_read_and_deleted),
        CASE(copy_asks_as_gcloud_does),
        CASE(object_of_the_same_name_is_not_replaced),
        CASE(reads_survive_what_passes),
        CASE(parts_become_an_object_even_when_the_seals_answer_is_lost),
        CASE(aborted_upload_is_gone),
        CASE(endpoint_without_multipart_is_recognised),
        CASE(session_takes_an_object_in_chunks),
        CASE(session_that_has_lost_bytes_begins_anew),
        CASE(wrong_checksum_makes_no_object),
        CASE(cancelled_session_is_gone),
        CASE(login_works_until_it_is_revoked),
        CASE(token_that_dies_midway_is_replaced),
        CASE(service_account_signs_what_google_takes),
        CASE(machine_has_a_token_of_its_own),
        CASE(hub_survives_what_passes),
    };
    return cmocka_run_group_tests(tests, start_all, stop_all);
}
