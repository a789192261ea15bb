/* Objects and buckets by the JSON API. */
#include "client.h"
#include "cloud/storage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* "123456789" has the crc32c 4waSgw==. */
#define OBJECT "{\"name\":\"a b/c#1\",\"size\":\"9\",\"generation\":\"7\",\"crc32c\":\"4waSgw==\"}"
#define FIELDS "name%2Csize%2Cgeneration%2Cmetageneration%2Ccrc32c%2Cupdated%2CcontentType%2Cetag"

static void stat_encodes_the_name_as_one_segment(void **state)
{
    struct client *c = *state;
    struct object o;
    struct err e = {0};
    canned_answer(c->server, 200, NULL, OBJECT);
    assert_true(storage_stat(c->cloud, "model-bkt", "a b/c#1", c->arena, &o, &e));
    expect_request(c, 0, "GET /storage/v1/b/model-bkt/o/a%20b%2Fc%231?projection=noAcl&fields=" FIELDS,
                   "Authorization: Bearer token-1", NULL);
    assert_string_equal(o.name, "a b/c#1");
    assert_int_equal(o.size, 9);
    assert_int_equal(o.generation, 7);
}

static void missing_object_is_named(void **state)
{
    struct client *c = *state;
    struct object o;
    struct err e = {0};
    canned_answer(c->server, 404, NULL, "{\"error\":{\"message\":\"No such object: model-bkt/x\"}}");
    assert_false(storage_stat(c->cloud, "model-bkt", "x", c->arena, &o, &e));
    expect_error(&e, ERR_NOT_FOUND, "gs://model-bkt/x: HTTP 404: No such object");
    assert_false(storage_stat(c->cloud, "model-bkt", "", c->arena, &o, &e));
    expect_error(&e, ERR_USAGE, "without a name");
    assert_int_equal(canned_count(c->server), 1);
}

static bool count_object(void *arg, const struct object *o, struct err *e)
{
    int *left = arg;
    (void)o;
    if ((*left)-- == 0)
        return err_set(e, ERR_CANCELLED, "enough");
    return true;
}

#define ITEM(n) "{\"name\":\"" n "\",\"size\":\"1\",\"generation\":\"1\"}"

static void listing_goes_on_over_pages(void **state)
{
    struct client *c = *state;
    struct err e = {0};
    int left = 100;
    struct storage_list l = {.bucket = "model-bkt",
                             .prefix = "models/",
                             .delimited = true,
                             .on_object = count_object,
                             .arg = &left};
    canned_answer(c->server, 200, NULL,
                  "{\"items\":[" ITEM("a") "," ITEM("b") "],\"nextPageToken\":\"p/2\"}");
    canned_answer(c->server, 200, NULL, "{\"prefixes\":[\"c/\"]}");
    assert_true(storage_list(c->cloud, &l, &e));
    assert_int_equal(left, 98);
    expect_request(c, 0,
                   "GET /storage/v1/b/model-bkt/o?projection=noAcl&maxResults=1000&fields=prefixes%2C"
                   "nextPageToken%2Citems%28" FIELDS "%29&delimiter=%2F&prefix=models%2F",
                   NULL);
    assert_non_null(strstr(canned_request(c->server, 1), "&pageToken=p%2F2 HTTP"));
}

static void listing_ends_when_told_or_when_it_turns_in_circles(void **state)
{
    struct client *c = *state;
    struct err e = {0};
    int left = 1;
    struct storage_list l = {.bucket = "model-bkt", .on_object = count_object, .arg = &left};
    canned_answer(c->server, 200, NULL, "{\"items\":[" ITEM("a") "," ITEM("b") "],\"nextPageToken\":\"p\"}");
    assert_false(storage_list(c->cloud, &l, &e));
    expect_error(&e, ERR_CANCELLED, "enough");
    left = 100;
    canned_answer(c->server, 200, NULL, "{\"nextPageToken\":\"p\"}");
    canned_answer(c->server, 200, NULL, "{\"nextPageToken\":\"p\"}");
    assert_false(storage_list(c->cloud, &l, &e));
    expect_error(&e, ERR_CORRUPT, "the same page again");
}

#define PART_OK(range, gen) "Content-Range: bytes " range "\r\nX-Goog-Generation: " gen "\r\n"

static bool read_five(struct client *c, char into[6], struct err *e)
{
    memset(into, 0, 6);
    return storage_read(c->cloud, "model-bkt", "a/b", 7, 10, 5, into, NULL, e);
}

static void range_is_asked_for_and_taken(void **state)
{
    struct client *c = *state;
    char into[6];
    struct err e = {0};
    canned_answer(c->server, 206, PART_OK("10-14/100", "7"), "hello");
    assert_true(read_five(c, into, &e));
    assert_string_equal(into, "hello");
    expect_request(c, 0, "GET /download/storage/v1/b/model-bkt/o/a%2Fb?alt=media&generation=7",
                   "\r\nRange: bytes=10-14\r\n", "Accept-Encoding: gzip", NULL);
}

static void broken_read_goes_on_where_it_was(void **state)
{
    struct client *c = *state;
    char into[6];
    struct err e = {0};
    canned_raw(c->server, "HTTP/1.1 206 OK\r\nConnection: close\r\nContent-Length: 5\r\n" PART_OK(
                              "10-14/100", "7") "\r\nhel");
    canned_answer(c->server, 503, NULL, "");
    canned_answer(c->server, 206, PART_OK("13-14/100", "7"), "lo");
    assert_true(read_five(c, into, &e));
    assert_string_equal(into, "hello");
    expect_request(c, 2, "GET /download/storage/v1/b/model-bkt/o/a%2Fb?alt=media&generation=7",
                   "\r\nRange: bytes=13-14\r\n", NULL);
}

static void answers_that_are_not_the_range_are_not_taken(void **state)
{
    struct client *c = *state;
    static const struct {
        int status;
        const char *headers, *body;
        int times; /* until it gives up */
        enum err_kind kind;
        const char *says;
    } cases[] = {
        {200, NULL, "hello", 4, ERR_TRANSIENT, "the whole came (HTTP 200)"},
        {200, NULL, "hello, this is all of it", 4, ERR_TRANSIENT, "the whole came (HTTP 200)"},
        {206, "Content-Range: bytes 11-15/100\r\n", "hello", 4, ERR_TRANSIENT, "\"bytes 11-15/100\" came"},
        {206, "Content-Range: bytes 10-13/100\r\n", "hell", 4, ERR_TRANSIENT, "\"bytes 10-13/100\" came"},
        {206, "Content-Range: nonsense\r\n", "hello", 4, ERR_TRANSIENT, "\"nonsense\" came"},
        {206, NULL, "hello", 4, ERR_TRANSIENT, "without its Content-Range"},
        {206, PART_OK("10-14/100", "8"), "hello", 1, ERR_BUSY, "generation 8, expected 7"},
        {404, NULL, "", 1, ERR_NOT_FOUND, "HTTP 404"},
        {403, NULL, "", 1, ERR_AUTH, "HTTP 403"},
        {416, NULL, "", 1, ERR_USAGE, "HTTP 416"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char into[6];
        struct err e = {0};
        canned_forget(c->server);
        for (int k = 0; k < cases[i].times; k++)
            canned_answer(c->server, cases[i].status, cases[i].headers, cases[i].body);
        assert_false(read_five(c, into, &e));
        expect_error(&e, cases[i].kind, cases[i].says);
        expect_error(&e, cases[i].kind, "gs://model-bkt/a/b: ");
        assert_int_equal(canned_count(c->server), cases[i].times);
        assert_int_equal(into[5], 0);
    }
}

static void stop_ends_a_read(void **state)
{
    struct client *c = *state;
    static volatile sig_atomic_t stop = 1;
    char into[6];
    struct err e = {0};
    canned_answer(c->server, 503, NULL, "");
    assert_false(storage_read(c->cloud, "model-bkt", "a", 7, 0, 5, into, &stop, &e));
    assert_int_not_equal(e.kind, ERR_NONE);
    assert_true(canned_count(c->server) <= 1);
}

static struct storage_put nine(int64_t generation)
{
    return (struct storage_put){"model-bkt", "a b/c#1", "text/plain", "123456789", 9, generation};
}

static void small_object_goes_in_one_request_with_its_checksum(void **state)
{
    struct client *c = *state;
    struct storage_put p = nine(STORAGE_ABSENT);
    struct object o;
    struct err e = {0};
    canned_answer(c->server, 200, NULL, OBJECT);
    assert_true(storage_put(c->cloud, &p, c->arena, &o, &e));
    assert_int_equal(o.generation, 7);
    expect_request(
        c, 0,
        "POST /upload/storage/v1/b/model-bkt/o?uploadType=multipart&projection=noAcl&ifGenerationMatch=0",
        "Content-Type: multipart/related; boundary=ferry", "\"crc32c\":\"4waSgw==\"", "\"name\":\"a b/c#1\"",
        "\r\nContent-Type: text/plain\r\n\r\n123456789\r\n--ferry", NULL);
}

static void put_whose_answer_was_lost_has_worked_when_the_object_is_ours(void **state)
{
    struct client *c = *state;
    struct storage_put p = nine(STORAGE_ABSENT);
    struct object o;
    struct err e = {0};
    canned_raw(c->server, "");
    canned_answer(c->server, 412, NULL, "");
    canned_answer(c->server, 200, NULL, OBJECT);
    assert_true(storage_put(c->cloud, &p, c->arena, &o, &e));
    assert_int_equal(o.generation, 7);
    canned_raw(c->server, "");
    canned_answer(c->server, 412, NULL, "");
    canned_answer(c->server, 200, NULL,
                  "{\"name\":\"a\",\"size\":\"9\",\"generation\":\"8\",\"crc32c\":\"AAAAAA==\"}");
    assert_false(storage_put(c->cloud, &p, c->arena, &o, &e));
    expect_error(&e, ERR_BUSY, "HTTP 412");
}

/* Then it is libcurl that sends it again. */
static void put_whose_answer_was_lost_with_its_kept_connection_has_worked(void **state)
{
    struct client *c = *state;
    struct storage_put p = nine(STORAGE_ABSENT);
    struct object o;
    struct err e = {0};
    canned_kept(c->server, 200, OBJECT);
    canned_raw(c->server, "");
    canned_answer(c->server, 412, NULL, "");
    canned_answer(c->server, 200, NULL, OBJECT);
    assert_true(storage_stat(c->cloud, "model-bkt", "x", c->arena, &o, &e));
    assert_true(storage_put(c->cloud, &p, c->arena, &o, &e));
    assert_int_equal(canned_count(c->server), 4);
}

static void object_that_was_there_before_is_not_ours(void **state)
{
    struct client *c = *state;
    struct storage_put p = nine(STORAGE_ABSENT);
    struct err e = {0};
    canned_answer(c->server, 412, NULL, "");
    assert_false(storage_put(c->cloud, &p, NULL, NULL, &e));
    expect_error(&e, ERR_BUSY, "gs://model-bkt/a b/c#1: HTTP 412");
    assert_int_equal(canned_count(c->server), 1);
}

static void object_that_differs_from_what_was_sent_is_told(void **state)
{
    struct client *c = *state;
    struct storage_put p = nine(STORAGE_ANY_GENERATION);
    struct err e = {0};
    canned_answer(c->server, 200, NULL,
                  "{\"name\":\"a\",\"size\":\"9\",\"generation\":\"8\",\"crc32c\":\"AAAAAA==\"}");
    assert_false(storage_put(c->cloud, &p, NULL, NULL, &e));
    expect_error(&e, ERR_CORRUPT, "crc32c e3069283 was sent and 00000000 is there");
    canned_answer(c->server, 200, NULL, "{\"name\":\"a\",\"size\":\"8\",\"generation\":\"8\"}");
    assert_false(storage_put(c->cloud, &p, NULL, NULL, &e));
    expect_error(&e, ERR_CORRUPT, "9 bytes were sent and 8 are there");
    assert_null(strstr(canned_request(c->server, 0), "ifGenerationMatch"));
}

static void delete_keeps_to_its_generation(void **state)
{
    struct client *c = *state;
    struct err e = {0};
    canned_answer(c->server, 204, NULL, "");
    assert_true(storage_delete(c->cloud, "model-bkt", "a", 7, &e));
    expect_request(c, 0, "DELETE /storage/v1/b/model-bkt/o/a?ifGenerationMatch=7", NULL);
    canned_raw(c->server, "");
    canned_answer(c->server, 404, NULL, "");
    assert_true(storage_delete(c->cloud, "model-bkt", "a", STORAGE_ANY_GENERATION, &e));
    expect_request(c, 2, "DELETE /storage/v1/b/model-bkt/o/a", NULL);
    canned_answer(c->server, 404, NULL, "");
    assert_false(storage_delete(c->cloud, "model-bkt", "a", 7, &e));
    expect_error(&e, ERR_NOT_FOUND, "gs://model-bkt/a: HTTP 404");
}

#define REWRITE(name)                                                                                        \
    "POST /storage/v1/b/from/o/" name                                                                        \
    "/rewriteTo/b/to/o/c%2Fd?projection=noAcl&maxBytesRewrittenPerCall=104857600"

static const struct object source = {
    .name = "a/b", .size = 9, .generation = 7, .has_crc32c = true, .crc32c = 0xe3069283}; /* of "123456789" */
static const struct storage_rewrite rewrite = {.from_bucket = "from",
                                               .from = &source,
                                               .bucket = "to",
                                               .name = "c/d",
                                               .if_generation = STORAGE_ANY_GENERATION};

static void copy_goes_on_until_done(void **state)
{
    struct client *c = *state;
    struct rewrite_state at = {0};
    struct storage_rewrite new_only = rewrite;
    struct object o;
    struct err e = {0};
    canned_answer(c->server, 200, NULL,
                  "{\"done\":false,\"totalBytesRewritten\":\"5\",\"rewriteToken\":\"t/1\"}");
    canned_answer(c->server, 200, NULL, "{\"done\":true,\"resource\":" OBJECT "}");
    new_only.if_generation = STORAGE_ABSENT;
    assert_true(storage_rewrite(c->cloud, &new_only, &at, c->arena, &o, &e));
    assert_false(at.done);
    assert_int_equal(at.rewritten, 5);
    assert_string_equal(at.token, "t/1");
    assert_true(storage_rewrite(c->cloud, &new_only, &at, c->arena, &o, &e));
    assert_true(at.done);
    assert_int_equal(o.generation, 7);
    expect_request(c, 0, REWRITE("a%2Fb") "&sourceGeneration=7&ifGenerationMatch=0", "Content-Length: 0\r\n",
                   NULL);
    assert_non_null(strstr(canned_request(c->server, 1), "&rewriteToken=t%2F1 HTTP"));
}

static void copy_that_is_another_is_deleted_again(void **state)
{
    static const char *const others[] = {"{\"done\":true,\"resource\":{\"name\":\"c/"
                                         "d\",\"size\":\"9\",\"generation\":\"8\",\"crc32c\":\"AAAAAA==\"}}",
                                         "{\"done\":true,\"resource\":{\"name\":\"c/"
                                         "d\",\"size\":\"8\",\"generation\":\"8\",\"crc32c\":\"4waSgw==\"}}"};
    struct client *c = *state;
    struct object o;
    for (int i = 0; i < 4; i++) {
        struct rewrite_state at = {0};
        struct err e = {0};
        canned_answer(c->server, 200, NULL, others[i % 2]);
        canned_answer(c->server, i < 2 ? 204 : 412, NULL, "");
        assert_false(storage_rewrite(c->cloud, &rewrite, &at, c->arena, &o, &e));
        expect_error(&e, ERR_CORRUPT, i < 2 ? "; deleted again" : "; could not be deleted again");
        expect_error(&e, ERR_CORRUPT, "gs://from/a/b to gs://to/c/d: the copy has ");
        expect_request(c, 2 * i + 1, "DELETE /storage/v1/b/to/o/c%2Fd?ifGenerationMatch=8", NULL);
    }
}

static void answers_that_are_no_copy_are_refused(void **state)
{
    static const struct {
        int status;
        const char *body;
        enum err_kind kind;
        const char *says;
    } cases[] = {
        {200, "{\"done\":false}", ERR_CORRUPT, "a copy that is neither done nor goes on"},
        {200, "{\"done\":false,\"rewriteToken\":\"\"}", ERR_CORRUPT, "neither done nor goes on"},
        {200, "{\"done\":true}", ERR_CORRUPT, "an object was expected"},
        {200, "[]", ERR_CORRUPT, "neither done nor goes on"},
        {200, "{", ERR_CORRUPT, "not JSON"},
        {404, "{\"error\":{\"message\":\"No such object: from/a/b\"}}", ERR_NOT_FOUND, "No such object"},
        {412, "{}", ERR_BUSY, "somebody else has changed it meanwhile"},
        {403, "{\"error\":{\"message\":\"x does not have storage.objects.create access\"}}", ERR_AUTH,
         "grant roles/"},
    };
    struct client *c = *state;
    struct object o;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rewrite_state at = {0};
        struct err e = {0};
        canned_answer(c->server, cases[i].status, NULL, cases[i].body);
        assert_false(storage_rewrite(c->cloud, &rewrite, &at, c->arena, &o, &e));
        expect_error(&e, cases[i].kind, cases[i].says);
        assert_false(at.done);
    }
    char *long_one = NULL;
    struct rewrite_state at = {0};
    struct err e = {0};
    assert_true(asprintf(&long_one, "{\"done\":false,\"rewriteToken\":\"%03000d\"}", 1) > 0);
    canned_answer(c->server, 200, NULL, long_one);
    assert_false(storage_rewrite(c->cloud, &rewrite, &at, c->arena, &o, &e));
    expect_error(&e, ERR_CORRUPT, "a copy whose token has more than 2047 bytes");
    free(long_one);
}

static void copy_whose_answer_was_lost_is_ours(void **state)
{
    struct client *c = *state;
    struct object o;
    for (int ours = 0; ours < 2; ours++) {
        struct rewrite_state at = {0};
        struct storage_rewrite new_only = rewrite;
        struct err e = {0};
        new_only.if_generation = STORAGE_ABSENT;
        canned_answer(c->server, 503, NULL, "");
        canned_answer(c->server, 412, NULL, "{}");
        canned_answer(
            c->server, 200, NULL,
            ours ? OBJECT : "{\"name\":\"c/d\",\"size\":\"9\",\"generation\":\"8\",\"crc32c\":\"AAAAAA==\"}");
        assert_int_equal(storage_rewrite(c->cloud, &new_only, &at, c->arena, &o, &e), ours);
        assert_int_equal(at.done, ours);
        if (!ours)
            expect_error(&e, ERR_BUSY, "HTTP 412");
    }
}

static void buckets_are_made_read_and_changed(void **state)
{
    struct client *c = *state;
    struct err e = {0};
    json_t *body = json_pack("{s:s, s:s}", "name", "model-bkt", "location", "asia-northeast1"), *json;
    canned_answer(c->server, 200, NULL, "{\"name\":\"model-bkt\",\"metageneration\":\"1\"}");
    json = bucket_create(c->cloud, "demo-proj", body, &e);
    assert_non_null(json);
    json_decref(json);
    expect_request(c, 0, "POST /storage/v1/b?projection=noAcl&project=demo-proj",
                   "Content-Type: application/json",
                   "{\"name\":\"model-bkt\",\"location\":\"asia-northeast1\"}", NULL);
    canned_raw(c->server, "");
    canned_answer(c->server, 409, NULL, "{\"error\":{\"message\":\"You already own this bucket\"}}");
    canned_answer(c->server, 200, NULL, "{\"name\":\"model-bkt\"}");
    json = bucket_create(c->cloud, "demo-proj", body, &e); /* the lost answer was a yes */
    assert_non_null(json);
    json_decref(json);
    expect_request(c, 3, "GET /storage/v1/b/model-bkt?projection=noAcl", NULL);
    canned_answer(c->server, 409, NULL, "{\"error\":{\"message\":\"not available\"}}");
    assert_null(bucket_create(c->cloud, "demo-proj", body, &e));
    expect_error(&e, ERR_BUSY, "gs://model-bkt: HTTP 409: not available");
    canned_answer(c->server, 200, NULL, "{}");
    json = bucket_patch(c->cloud, "model-bkt", 3, body, &e);
    json_decref(json);
    expect_request(c, 5, "PATCH /storage/v1/b/model-bkt?projection=noAcl&ifMetagenerationMatch=3", NULL);
    json_decref(body);
}

/* The first try changes the bucket and its answer is lost; the second finds the precondition broken. */
static void patch_whose_answer_was_lost_has_worked_when_the_bucket_is_as_wanted(void **state)
{
    static const struct {
        const char *is;
        bool ours;
    } cases[] = {
        {"{\"rule\":[{\"a\":1},{\"b\":2}]}", false},
        {"{\"rule\":[{\"a\":2}]}", false},
        {"{\"rule\":[],\"soft\":{\"days\":\"7\"}}", false},
        {"{\"rule\":{\"a\":1},\"soft\":{\"days\":\"7\"}}", false},
        {"{\"rule\":[{\"a\":1}],\"soft\":{\"days\":\"8\"}}", false},
        {"{\"rule\":[{\"a\":1}],\"soft\":{\"days\":\"7\"},\"gone\":1}", false},
        {"{\"rule\":[{\"a\":1}],\"soft\":\"7\"}", false},
        {"{\"rule\":[{\"a\":1}],\"soft\":{\"days\":\"7\",\"since\":\"now\"},\"etag\":\"x\"}", true},
    };
    struct client *c = *state;
    json_t *body = json_loads("{\"rule\":[{\"a\":1}],\"soft\":{\"days\":\"7\"},\"gone\":null}", 0, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = {0};
        canned_answer(c->server, 503, NULL, "");
        canned_answer(c->server, 412, NULL, "{\"error\":{\"code\":412,\"message\":\"no\"}}");
        canned_answer(c->server, 200, NULL, cases[i].is);
        json_t *json = bucket_patch(c->cloud, "model-bkt", 3, body, &e);
        assert_int_equal(json != NULL, cases[i].ours);
        if (!json)
            expect_error(&e, ERR_BUSY, "gs://model-bkt: HTTP 412");
        json_decref(json);
    }
    json_decref(body);
}

static void patch_that_was_refused_at_once_is_not_ours(void **state)
{
    struct client *c = *state;
    struct err e = {0};
    json_t *body = json_loads("{\"a\":1}", 0, NULL);
    canned_answer(c->server, 412, NULL, "{\"error\":{\"code\":412,\"message\":\"no\"}}");
    assert_null(bucket_patch(c->cloud, "model-bkt", 3, body, &e));
    expect_error(&e, ERR_BUSY, "gs://model-bkt: HTTP 412");
    json_decref(body);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, client_open, client_close)
    const struct CMUnitTest tests[] = {
        CASE(stat_encodes_the_name_as_one_segment),
        CASE(missing_object_is_named),
        CASE(listing_goes_on_over_pages),
        CASE(listing_ends_when_told_or_when_it_turns_in_circles),
        CASE(range_is_asked_for_and_taken),
        CASE(broken_read_goes_on_where_it_was),
        CASE(answers_that_are_not_the_range_are_not_taken),
        CASE(stop_ends_a_read),
        CASE(small_object_goes_in_one_request_with_its_checksum),
        CASE(put_whose_answer_was_lost_has_worked_when_the_object_is_ours),
        CASE(put_whose_answer_was_lost_with_its_kept_connection_has_worked),
        CASE(object_that_was_there_before_is_not_ours),
        CASE(object_that_differs_from_what_was_sent_is_told),
        CASE(delete_keeps_to_its_generation),
        CASE(copy_goes_on_until_done),
        CASE(copy_that_is_another_is_deleted_again),
        CASE(answers_that_are_no_copy_are_refused),
        CASE(copy_whose_answer_was_lost_is_ours),
        CASE(buckets_are_made_read_and_changed),
        CASE(patch_whose_answer_was_lost_has_worked_when_the_bucket_is_as_wanted),
        CASE(patch_that_was_refused_at_once_is_not_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
