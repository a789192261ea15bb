/* Objects in parts, by the XML API. */
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

#define BEGUN                                                                                                \
    "<?xml version='1.0' encoding='UTF-8'?><InitiateMultipartUploadResult "                                  \
    "xmlns='http://s3.amazonaws.com/doc/'>"                                                                  \
    "<Bucket>model-bkt</Bucket><Key>a b</Key><UploadId>U/1</UploadId></InitiateMultipartUploadResult>"
#define SEALED "<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>"
#define GONE "<Error><Code>NoSuchUpload</Code><Message>The requested upload was not found.</Message></Error>"

static void upload_begins_at_the_objects_own_path(void **state)
{
    struct client *c = *state;
    struct err e = {0};
    canned_answer(c->server, 200, NULL, BEGUN);
    char *id = multipart_begin(c->cloud, "model-bkt", "dir/a b", "text/plain", c->arena, &e);
    assert_non_null(id);
    assert_string_equal(id, "U/1");
    expect_request(c, 0, "POST /model-bkt/dir/a%20b?uploads", "Content-Type: text/plain\r\n",
                   "Content-Length: 0\r\n", "Authorization: Bearer token-1", NULL);
}

static void endpoint_without_multipart_is_told_from_other_troubles(void **state)
{
    struct client *c = *state;
    static const struct {
        int status;
        const char *body;
        enum err_kind kind;
    } cases[] = {
        {501, "", ERR_UNSUPPORTED},
        {400, "<html>bad request</html>", ERR_UNSUPPORTED},
        {404, "{\"error\":{\"message\":\"Not Found\"}}", ERR_UNSUPPORTED},
        {405, "", ERR_UNSUPPORTED},
        {200, "<html></html>", ERR_UNSUPPORTED},
        {404, "<Error><Code>NoSuchBucket</Code><Message>no</Message></Error>", ERR_NOT_FOUND},
        {403, "<Error><Code>AccessDenied</Code><Message>no</Message></Error>", ERR_AUTH},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = {0};
        canned_answer(c->server, cases[i].status, NULL, cases[i].body);
        assert_null(multipart_begin(c->cloud, "model-bkt", "a", NULL, c->arena, &e));
        expect_error(&e, cases[i].kind, "gs://model-bkt/a: ");
    }
}

static void part_is_sent_with_its_checksum_and_keeps_its_etag(void **state)
{
    struct client *c = *state;
    struct part_tag tag;
    struct err e = {0};
    canned_answer(c->server, 503, NULL, "");
    canned_answer(c->server, 200, "ETag: \"e3\"\r\nx-goog-hash: crc32c=4waSgw==\r\n", "");
    assert_true(multipart_part(c->cloud, "model-bkt", "a", "U/1", 3, "123456789", 9, NULL, &tag, &e));
    assert_int_equal(tag.number, 3);
    assert_int_equal(tag.size, 9);
    assert_string_equal(tag.etag, "\"e3\"");
    expect_request(c, 1, "PUT /model-bkt/a?uploadId=U%2F1&partNumber=3", "X-Goog-Hash: crc32c=4waSgw==\r\n",
                   "Content-Length: 9\r\n", "\r\n\r\n123456789", NULL);
    assert_null(strcasestr(canned_request(c->server, 1), "form-urlencoded"));
}

static void part_that_arrived_changed_is_sent_again(void **state)
{
    struct client *c = *state;
    struct part_tag tag;
    struct err e = {0};
    canned_answer(c->server, 200, "ETag: \"bad\"\r\nx-goog-hash: crc32c=AAAAAA==\r\n", "");
    canned_answer(c->server, 200, "ETag: \"good\"\r\nx-goog-hash: crc32c=4waSgw==,md5=x\r\n", "");
    assert_true(multipart_part(c->cloud, "model-bkt", "a", "U", 1, "123456789", 9, NULL, &tag, &e));
    assert_string_equal(tag.etag, "\"good\"");
    for (int i = 0; i < 4; i++)
        canned_answer(c->server, 200, "ETag: \"bad\"\r\nx-goog-hash: crc32c=AAAAAA==\r\n", "");
    assert_false(multipart_part(c->cloud, "model-bkt", "a", "U", 1, "123456789", 9, NULL, &tag, &e));
    expect_error(&e, ERR_TRANSIENT,
                 "gs://model-bkt/a: part 1: crc32c e3069283 was sent and 00000000 is there");
    assert_int_equal(canned_count(c->server), 6);
}

static void part_without_an_etag_or_an_upload_is_an_error(void **state)
{
    struct client *c = *state;
    struct part_tag tag;
    struct err e = {0};
    canned_answer(c->server, 200, NULL, "");
    assert_false(multipart_part(c->cloud, "model-bkt", "a", "U", 1, "x", 1, NULL, &tag, &e));
    expect_error(&e, ERR_CORRUPT, "without an ETag");
    canned_answer(c->server, 404, NULL, GONE);
    assert_false(multipart_part(c->cloud, "model-bkt", "a", "U", 1, "x", 1, NULL, &tag, &e));
    expect_error(&e, ERR_NOT_FOUND, "The requested upload was not found");
}

#define PART(n) "<Part><PartNumber>" n "</PartNumber><ETag>\"e" n "\"</ETag><Size>" n "</Size></Part>"

static void list_of_parts_is_read_over_pages(void **state)
{
    struct client *c = *state;
    struct part_tag *parts;
    int count;
    struct err e = {0};
    canned_answer(
        c->server, 200, NULL,
        "<ListPartsResult><IsTruncated>true</IsTruncated><NextPartNumberMarker>2</NextPartNumberMarker>" PART(
            "1") PART("2") "</ListPartsResult>");
    canned_answer(c->server, 503, NULL, "");
    canned_answer(c->server, 200, NULL, "<ListPartsResult>" PART("5") "</ListPartsResult>");
    assert_true(multipart_list(c->cloud, "model-bkt", "a", "U", c->arena, &parts, &count, &e));
    assert_int_equal(count, 3);
    assert_int_equal(parts[2].number, 5);
    expect_request(c, 0, "GET /model-bkt/a?uploadId=U&max-parts=1000", NULL);
    expect_request(c, 2, "GET /model-bkt/a?uploadId=U&max-parts=1000&part-number-marker=2", NULL);
    canned_answer(c->server, 404, NULL, GONE);
    assert_false(multipart_list(c->cloud, "model-bkt", "a", "U", c->arena, &parts, &count, &e));
    expect_error(&e, ERR_NOT_FOUND, "gs://model-bkt/a: ");
    assert_int_equal(count, 0);
}

static const struct part_tag two[] = {{1, 5, "\"e1\""}, {2, 4, "\"e2\""}};

static void seal_names_the_parts(void **state)
{
    struct client *c = *state;
    struct err e = {0};
    canned_answer(c->server, 200, NULL, SEALED);
    assert_true(multipart_seal(c->cloud, "model-bkt", "a", "U", two, 2, &e));
    expect_request(c, 0, "POST /model-bkt/a?uploadId=U", "<PartNumber>1</PartNumber><ETag>\"e1\"</ETag>",
                   NULL);
}

static void error_inside_a_200_is_tried_again(void **state)
{
    struct client *c = *state;
    struct err e = {0};
    canned_answer(c->server, 200, NULL, "<Error><Code>InternalError</Code></Error>");
    canned_answer(c->server, 200, NULL, SEALED);
    assert_true(multipart_seal(c->cloud, "model-bkt", "a", "U", two, 2, &e));
    canned_answer(c->server, 200, NULL, "<Error><Code>InvalidPart</Code></Error>");
    assert_false(multipart_seal(c->cloud, "model-bkt", "a", "U", two, 2, &e));
    expect_error(&e, ERR_CORRUPT, "not put together: InvalidPart");
}

static void second_seal_succeeds_when_the_object_is_there(void **state)
{
    struct client *c = *state;
    struct err e = {0};
    canned_answer(c->server, 404, NULL, GONE);
    canned_answer(c->server, 200, NULL, "{\"name\":\"a\",\"size\":\"9\",\"generation\":\"7\"}");
    assert_true(multipart_seal(c->cloud, "model-bkt", "a", "U", two, 2, &e));
    canned_answer(c->server, 404, NULL, GONE);
    canned_answer(c->server, 200, NULL, "{\"name\":\"a\",\"size\":\"8\",\"generation\":\"7\"}");
    assert_false(multipart_seal(c->cloud, "model-bkt", "a", "U", two, 2, &e));
    expect_error(&e, ERR_NOT_FOUND, "upload was not found");
}

static void abort_of_what_is_gone_is_fine(void **state)
{
    struct client *c = *state;
    struct err e = {0};
    canned_answer(c->server, 204, NULL, "");
    canned_answer(c->server, 404, NULL, GONE);
    canned_answer(c->server, 403, NULL, "");
    assert_true(multipart_abort(c->cloud, "model-bkt", "a", "U", &e));
    expect_request(c, 0, "DELETE /model-bkt/a?uploadId=U", NULL);
    assert_true(multipart_abort(c->cloud, "model-bkt", "a", "U", &e));
    assert_false(multipart_abort(c->cloud, "model-bkt", "a", "U", &e));
    expect_error(&e, ERR_AUTH, "HTTP 403");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, client_open, client_close)
    const struct CMUnitTest tests[] = {
        CASE(upload_begins_at_the_objects_own_path),
        CASE(endpoint_without_multipart_is_told_from_other_troubles),
        CASE(part_is_sent_with_its_checksum_and_keeps_its_etag),
        CASE(part_that_arrived_changed_is_sent_again),
        CASE(part_without_an_etag_or_an_upload_is_an_error),
        CASE(list_of_parts_is_read_over_pages),
        CASE(seal_names_the_parts),
        CASE(error_inside_a_200_is_tried_again),
        CASE(second_seal_succeeds_when_the_object_is_there),
        CASE(abort_of_what_is_gone_is_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
