/* What Cloud Storage answers with: objects and listings in JSON, parts in XML. */
#include "cloud/storage/answer.h"
#include "cloud/storage/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static bool read_text(const char *text, struct object *o, json_t **json, struct err *e)
{
    *json = json_loads(text, 0, NULL);
    assert_non_null(*json);
    return object_read(*json, o, e);
}

static void object_of_the_captures_is_read(void **state)
{
    static const char text[] =
        "{\"kind\":\"storage#object\",\"name\":\"models/mid.bin\",\"bucket\":\"model-bkt\",\"generation\":"
        "\"1700000000000012\",\"metageneration\":\"1\",\"contentType\":\"application/octet-stream\",\"size\":"
        "\"20000000\",\"crc32c\":\"4waSgw==\",\"etag\":\"CAE=\",\"updated\":\"2026-01-01T00:00:00.000Z\"}";
    struct object o;
    struct err e = {0};
    json_t *json;
    (void)state;
    assert_true(read_text(text, &o, &json, &e));
    assert_string_equal(o.name, "models/mid.bin");
    assert_int_equal(o.size, 20000000);
    assert_int_equal(o.generation, 1700000000000012);
    assert_int_equal(o.metageneration, 1);
    assert_true(o.has_crc32c);
    assert_int_equal(o.crc32c, 0xE3069283);
    assert_string_equal(o.updated, "2026-01-01T00:00:00.000Z");
    json_decref(json);
}

static void object_that_lacks_something_is_refused(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"[]", "something else came"},
        {"{\"size\":\"1\",\"generation\":\"1\"}", "without a name"},
        {"{\"name\":\"\",\"size\":\"1\",\"generation\":\"1\"}", "without a name"},
        {"{\"name\":\"a\",\"generation\":\"1\"}", "\"size\""},
        {"{\"name\":\"a\",\"generation\":\"1\",\"crc32c\":\"4waSgw==\"}", "\"size\""},
        {"{\"name\":\"a\",\"size\":null,\"generation\":\"1\",\"crc32c\":\"AAAAAA==\"}", "\"size\""},
        {"{\"name\":\"a\",\"size\":1,\"generation\":\"1\"}", "\"size\""},
        {"{\"name\":\"a\",\"size\":\"-1\",\"generation\":\"1\"}", "\"size\""},
        {"{\"name\":\"a\",\"size\":\" 1\",\"generation\":\"1\"}", "\"size\""},
        {"{\"name\":\"a\",\"size\":\"18446744073709551616\",\"generation\":\"1\"}", "\"size\""},
        {"{\"name\":\"a\",\"size\":\"1\",\"generation\":\"9223372036854775808\"}", "\"generation\""},
        {"{\"name\":\"a\",\"size\":\"1\",\"generation\":\"1\",\"crc32c\":\"4waSg\"}", "\"crc32c\""},
        {"{\"name\":\"a\",\"size\":\"1\",\"generation\":\"1\",\"metageneration\":\"x\"}",
         "\"metageneration\""},
        {"{\"name\":\"a\",\"size\":\"1\",\"generation\":\"1\",\"etag\":7}", "\"etag\""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct object o;
        struct err e = {0};
        json_t *json;
        assert_false(read_text(cases[i].text, &o, &json, &e));
        assert_int_equal(e.kind, ERR_CORRUPT);
        assert_non_null(strstr(e.text, cases[i].says));
        json_decref(json);
    }
}

/* Google's test bench leaves the size out when it is 0. */
static void object_of_no_bytes_may_come_without_its_size(void **state)
{
    struct object o;
    struct err e = {0};
    json_t *json;
    (void)state;
    assert_true(read_text("{\"name\":\"a\",\"generation\":\"1\",\"crc32c\":\"AAAAAA==\"}", &o, &json, &e));
    assert_int_equal(o.size, 0);
    json_decref(json);
}

static bool hear_object(void *arg, const struct object *o, struct err *e)
{
    char *text = arg;
    (void)e;
    strcat(strcat(text, o->name), ";");
    return true;
}

static bool hear_prefix(void *arg, const char *prefix, struct err *e)
{
    char *text = arg;
    (void)e;
    strcat(strcat(text, prefix), ";");
    return true;
}

static void objects_and_folders_come_in_one_order(void **state)
{
    char heard[200] = "";
    struct storage_list l = {.bucket = "b", .on_object = hear_object, .on_prefix = hear_prefix, .arg = heard};
    struct err e = {0};
    const char *next;
    json_t *page =
        json_loads("{\"items\":[{\"name\":\"a\",\"size\":\"0\",\"generation\":\"1\"},{\"name\":\"m\","
                   "\"size\":\"0\",\"generation\":\"1\"}],\"prefixes\":[\"b/\",\"z/\"],"
                   "\"nextPageToken\":\"more\"}",
                   0, NULL);
    (void)state;
    assert_true(page_read(page, &l, &next, &e));
    assert_string_equal(heard, "a;b/;m;z/;");
    assert_string_equal(next, "more");
    json_decref(page);
}

static void listing_that_is_none_is_refused(void **state)
{
    static const char *const cases[] = {"[]",
                                        "{\"items\":{}}",
                                        "{\"prefixes\":\"a\"}",
                                        "{\"prefixes\":[7]}",
                                        "{\"items\":[{}]}",
                                        "{\"prefixes\":[\"\"]}"};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char heard[200] = "";
        struct storage_list l = {
            .bucket = "b", .on_object = hear_object, .on_prefix = hear_prefix, .arg = heard};
        struct err e = {0};
        const char *next;
        json_t *page = json_loads(cases[i], 0, NULL);
        assert_false(page_read(page, &l, &next, &e));
        assert_int_equal(e.kind, ERR_CORRUPT);
        json_decref(page);
    }
}

#define LIST(inner)                                                                                          \
    "<ListPartsResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>" inner "</ListPartsResult>"
#define PART(n, size)                                                                                        \
    "<Part><PartNumber>" n "</PartNumber><LastModified>x</LastModified><ETag>\"e" n "\"</ETag><Size>" size   \
    "</Size></Part>"

static void parts_come_over_pages(void **state)
{
    static const char first[] = LIST(
        "<IsTruncated>true</IsTruncated><NextPartNumberMarker>2</NextPartNumberMarker>" PART("1", "5242880")
            PART("2", "7"));
    static const char second[] = LIST("<IsTruncated>false</IsTruncated>" PART("9", "1"));
    struct part_list l = {.parts = NULL};
    struct err e = {0};
    (void)state;
    assert_true(answer_parts(&l, first, sizeof first - 1, &e));
    assert_true(l.more);
    assert_int_equal(l.marker, 2);
    assert_true(answer_parts(&l, second, sizeof second - 1, &e));
    assert_false(l.more);
    assert_int_equal(l.count, 3);
    assert_int_equal(l.parts[0].size, 5242880);
    assert_string_equal(l.parts[2].etag, "\"e9\"");
    free(l.parts);
}

static void list_of_parts_that_lies_is_refused(void **state)
{
    static const char *const cases[] = {
        LIST(PART("0", "1")),
        LIST(PART("10001", "1")),
        LIST(PART("2", "1") PART("1", "1")),
        LIST(PART("1", "-1")),
        LIST("<Part><PartNumber>1</PartNumber><Size>1</Size></Part>"),
        LIST("<Part><PartNumber>1</PartNumber><ETag>\"e\"</ETag></Part>"),
        LIST("<IsTruncated>true</IsTruncated>"),
        LIST("<IsTruncated>true</IsTruncated><NextPartNumberMarker>0</NextPartNumberMarker>" PART("1", "1")),
        "<Error><Code>NoSuchUpload</Code></Error>",
        "<ListPartsResult>",
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct part_list l = {.parts = NULL};
        struct err e = {0};
        if (answer_parts(&l, cases[i], strlen(cases[i]), &e))
            fail_msg("%s was taken", cases[i]);
        assert_int_equal(e.kind, ERR_CORRUPT);
        free(l.parts);
    }
}

static void upload_id_is_found_or_missed(void **state)
{
    static const char good[] =
        "<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>k</Key><UploadId>A&amp;B"
        "</UploadId></InitiateMultipartUploadResult>";
    static const char bad[] = "<InitiateMultipartUploadResult></InitiateMultipartUploadResult>";
    char id[UPLOAD_ID_ROOM];
    struct err e = {0};
    (void)state;
    assert_true(answer_upload_id(good, sizeof good - 1, id, &e));
    assert_string_equal(id, "A&B");
    assert_false(answer_upload_id(bad, sizeof bad - 1, id, &e));
    assert_string_equal(e.text, "an upload without an UploadId");
}

static void error_in_a_200_is_an_error(void **state)
{
    static const struct {
        const char *xml;
        enum err_kind kind;
    } cases[] = {
        {"<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>", ERR_NONE},
        {"<Error><Code>InternalError</Code><Message>try again</Message></Error>", ERR_TRANSIENT},
        {"<Error><Code>InvalidPart</Code></Error>", ERR_CORRUPT},
        {"<html></html>", ERR_CORRUPT},
        {"", ERR_CORRUPT},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = {0};
        assert_int_equal(answer_sealed(cases[i].xml, strlen(cases[i].xml), &e), cases[i].kind == ERR_NONE);
        assert_int_equal(e.kind, cases[i].kind);
    }
}

static void seal_names_every_part(void **state)
{
    const struct part_tag parts[] = {{1, 5, "\"a&b\""}, {2, 6, "\"c\""}};
    char *text = answer_seal_request(parts, 2);
    (void)state;
    assert_string_equal(text,
                        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>\"a&amp;b\"</ETag>"
                        "</Part><Part><PartNumber>2</PartNumber><ETag>\"c\"</ETag></Part>"
                        "</CompleteMultipartUpload>");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(object_of_the_captures_is_read),
        cmocka_unit_test(object_that_lacks_something_is_refused),
        cmocka_unit_test(object_of_no_bytes_may_come_without_its_size),
        cmocka_unit_test(objects_and_folders_come_in_one_order),
        cmocka_unit_test(listing_that_is_none_is_refused),
        cmocka_unit_test(parts_come_over_pages),
        cmocka_unit_test(list_of_parts_that_lies_is_refused),
        cmocka_unit_test(upload_id_is_found_or_missed),
        cmocka_unit_test(error_in_a_200_is_an_error),
        cmocka_unit_test(seal_names_every_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
