#include "model/safetensors.h"

#include "model_files.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Every header below is padded with spaces to 120 bytes, so that data begins at byte 128. */
enum { HEADER = 120, DATA = 8 + HEADER };

static bool parse_padded(struct safetensors *s, const char *header, uint64_t data_bytes, struct err *e)
{
    char padded[HEADER];
    memset(padded, ' ', sizeof padded);
    assert_in_range(strlen(header), 0, sizeof padded);
    memcpy(padded, header, strlen(header));
    return safetensors_parse(s, padded, sizeof padded, DATA + data_bytes, e);
}

#define ENTRY(dtype, shape, offsets)                                                                         \
    "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static const struct {
    const char *header;
    uint64_t data_bytes;
    const char *message;
} refused[] = {
    {"{\"a\":" ENTRY("BF16", "[8]", "[0,16]") ",\"b\":" ENTRY("U8", "[8]", "[12,20]") "}", 20,
     "tensor b: begins at byte 140 of the file, overlapping tensor a which ends at 144"},
    {"{\"a\":" ENTRY("U8", "[9]", "[0,9]") ",\"b\":" ENTRY("U8", "[9]", "[0,9]") "}", 9,
     "tensor b: begins at byte 128 of the file, overlapping tensor a which ends at 137"},
    {"{\"a\":" ENTRY("U8", "[4]", "[0,4]") ",\"b\":" ENTRY("U8", "[4]", "[6,10]") "}", 10,
     "tensor b: begins at byte 134 of the file, expected 132: the bytes between belong to no tensor"},
    {"{\"a\":" ENTRY("U8", "[4]", "[2,6]") "}", 6,
     "tensor a: begins at byte 130 of the file, expected 128: the bytes between belong to no tensor"},
    {"{\"a\":" ENTRY("U8", "[4]", "[0,4]") "}", 9,
     "137 bytes in the file, expected 132, where tensor a ends"},
    {"{\"a\":" ENTRY("BF16", "[4]", "[0,8]") "}", 3,
     "131 bytes in the file, expected 136, where tensor a ends: truncated, fetch it again"},
    {"{}", 1, "129 bytes in the file, expected 128, where tensor (none) ends"},
    {"{\"a\":" ENTRY("U8", "[3]", "[0,3]") ",\"b\":" ENTRY("BF16", "[2]", "[3,7]") "}", 7,
     "tensor b: begins at byte 131 of the file, expected a multiple of 2 for BF16"},
    {"{\"a\":" ENTRY("BF16", "[4]", "[0,9]") "}", 9,
     "tensor a: 9 bytes at data_offsets, expected 8 for its shape in BF16"},
    {"{\"a\":" ENTRY("F32", "[]", "[0,8]") "}", 8,
     "tensor a: 8 bytes at data_offsets, expected 4 for its shape in F32"},
    {"{\"a\":" ENTRY("F4", "[3]", "[0,2]") "}", 2, "tensor a: its shape in F4 does not end on a whole byte"},
    {"{\"a\":" ENTRY("U8", "[4294967296,4294967296]", "[0,0]") "}", 0,
     "tensor a: its shape has more bytes than 64 bits can count"},
    {"{\"a\":" ENTRY("F32", "[4611686018427387904]", "[0,0]") "}", 0,
     "tensor a: its shape has more bytes than 64 bits can count"},
    {"{\"a\":" ENTRY("U8", "[1]", "[0,9223372036854775807]") "}", 1,
     "tensor a: 9223372036854775807 bytes at data_offsets, expected 1 for its shape in U8"},
    {"{\"a\":" ENTRY("U8", "[1]", "[0,9223372036854775808]") "}", 1,
     "header: byte 68: too big integer near '9223372036854775808', expected JSON"},
    {"{\"a\":" ENTRY("U8", "[-1]", "[0,1]") "}", 1,
     "tensor a: size 1 of its shape is not a whole number from 0 up"},
    {"{\"a\":" ENTRY("U8", "[1,1.0]", "[0,1]") "}", 1,
     "tensor a: size 2 of its shape is not a whole number from 0 up"},
    {"{\"a\":" ENTRY("U8", "[1,1,1,1,1,1,1,1,1]", "[0,1]") "}", 1,
     "tensor a: shape is not a list of at most 8 sizes"},
    {"{\"a\":" ENTRY("U8", "1", "[0,1]") "}", 1, "tensor a: shape is not a list of at most 8 sizes"},
    {"{\"a\":" ENTRY("U8", "[1]", "[1,0]") "}", 1,
     "tensor a: data_offsets is not [begin, end] with 0 <= begin <= end"},
    {"{\"a\":" ENTRY("U8", "[1]", "[-1,0]") "}", 1,
     "tensor a: data_offsets is not [begin, end] with 0 <= begin <= end"},
    {"{\"a\":" ENTRY("U8", "[1]", "[0,1.0]") "}", 1,
     "tensor a: data_offsets is not [begin, end] with 0 <= begin <= end"},
    {"{\"a\":" ENTRY("U8", "[1]", "[0]") "}", 1,
     "tensor a: data_offsets is not [begin, end] with 0 <= begin <= end"},
    {"{\"a\":" ENTRY("U8", "[1]", "1") "}", 1,
     "tensor a: data_offsets is not [begin, end] with 0 <= begin <= end"},
    {"{\"a\":" ENTRY("Q4_K", "[1]", "[0,1]") "}", 1,
     "tensor a: dtype Q4_K, expected one of the format's, as BF16, F16 or F32"},
    {"{\"a\":{\"dtype\":1,\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
     "tensor a: dtype is not a string, expected one of the format's, as BF16, F16 or F32"},
    {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "tensor a: dtype is missing"},
    {"{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", 1, "tensor a: shape is missing"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, "tensor a: data_offsets is missing"},
    {"{\"a\":[1]}", 1, "tensor a: not an object with dtype, shape and data_offsets"},
    {"{\"a\":" ENTRY("U8", "[]", "[0,1]") ",\"a\":1}", 1,
     "header: byte 55: duplicate object key near '\"a\"', expected JSON"},
    {"[]", 0, "header is a list, expected a JSON object of tensors"},
    {"", 0, "header: byte 120: '[' or '{' expected near end of file, expected JSON"},
    {"{} {}", 0, "header: byte 4: end of file expected near '{', expected JSON"},
    {"{\"a\\u0000b\":1}", 0,
     "header: byte 11: NUL byte in object key not supported near '\"a\\u0000b\"', expected JSON"},
    {"{\"a\xff\":1}", 0, "header: byte 3: unable to decode byte 0xff near '\"a', expected JSON"},
};

static void hostile_header_is_refused_with_the_tensor_and_what_was_expected(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct safetensors s;
        struct err e = {0};
        if (parse_padded(&s, refused[i].header, refused[i].data_bytes, &e))
            fail_msg("accepted: %s", refused[i].header);
        assert_string_equal(e.text, refused[i].message);
        assert_int_equal(e.kind, ERR_CORRUPT);
        assert_null(s.tensors);
        safetensors_clear(&s);
    }
}

static void header_length_is_checked_against_the_file(void **state)
{
    static const struct {
        unsigned char first[8];
        uint64_t file_bytes;
        enum err_kind kind;
        const char *message; /* NULL: fine */
    } cases[] = {
        {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
         1 << 20,
         ERR_LIMIT,
         "header of 18446744073709551615 bytes, expected at most 100000000: not a safetensors file?"},
        {{0x01, 0xe1, 0xf5, 0x05},
         1 << 30,
         ERR_LIMIT,
         "header of 100000001 bytes, expected at most 100000000: not a safetensors file?"},
        {{0x00, 0xe1, 0xf5, 0x05}, 1 << 30, ERR_NONE, NULL},
        {{93}, 100, ERR_CORRUPT, "header of 93 bytes, but the file has 100: truncated, fetch it again"},
        {{92}, 100, ERR_NONE, NULL},
        {{0}, 7, ERR_CORRUPT, "header of 0 bytes, but the file has 7: truncated, fetch it again"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = {0};
        size_t n = 0;
        bool ok = safetensors_header_bytes(cases[i].first, cases[i].file_bytes, &n, &e);
        assert_int_equal(ok, cases[i].message == NULL);
        assert_int_equal(e.kind, cases[i].kind);
        if (!ok)
            assert_string_equal(e.text, cases[i].message);
    }
}

static void tensors_come_in_file_order_with_places_in_the_file(void **state)
{
    struct safetensors s;
    struct err e = {0};
    (void)state;
    assert_true(parse_padded(
        &s, "{\"z\":" ENTRY("BF16", "[2,3]", "[0,12]") ",\"a\":" ENTRY("F32", "[]", "[12,16]") "}", 16, &e));
    assert_int_equal(s.count, 2);
    assert_string_equal(s.tensors[0].name, "z");
    assert_int_equal(s.tensors[0].begin, DATA);
    assert_int_equal(s.tensors[0].dims, 2);
    assert_int_equal(s.tensors[0].shape[1], 3);
    assert_true(s.tensors[0].dtype->computed);
    assert_int_equal(s.tensors[0].dtype->dtype, DTYPE_BF16);
    assert_string_equal(s.tensors[1].name, "a");
    assert_int_equal(s.tensors[1].begin, DATA + 12);
    assert_int_equal(s.tensors[1].end, DATA + 16);
    assert_int_equal(s.tensors[1].dims, 0);
    safetensors_clear(&s);
    safetensors_clear(&s);
}

static void unusual_but_right_headers_are_read(void **state)
{
    static const struct {
        const char *header;
        uint64_t data_bytes;
        size_t count;
    } cases[] = {
        {"{}", 0, 0},
        {"{\"__metadata__\":{\"format\":\"pt\"}}", 0, 0},
        {"{\"a\":" ENTRY("F32", "[0,7]", "[0,0]") "}", 0, 1},
        {"{\"a\":" ENTRY("F4", "[4]", "[0,2]") "}", 2, 1},
        {"{\"a\":" ENTRY("U64", "[1]", "[0,8]") "}", 8, 1},
        {"{\"\":" ENTRY("BOOL", "[3]", "[0,3]") "}", 3, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct safetensors s;
        struct err e = {0};
        if (!parse_padded(&s, cases[i].header, cases[i].data_bytes, &e))
            fail_msg("%s: %s", cases[i].header, e.text);
        assert_int_equal(s.count, cases[i].count);
        safetensors_clear(&s);
    }
}

/* A header of `count` tensors of one byte each; the caller frees. */
static char *many_tensors(size_t count, size_t *n)
{
    enum { ENTRY_ROOM = 90 };
    char *text = malloc(count * ENTRY_ROOM + 3);
    assert_non_null(text);
    *n = (size_t)sprintf(text, "{");
    for (size_t i = 0; i < count; i++)
        *n += (size_t)snprintf(text + *n, ENTRY_ROOM, "%s\"t%zu\":" ENTRY("U8", "[1]", "[%zu,%zu]"),
                               i ? "," : "", i, count - 1 - i, count - i);
    *n += (size_t)sprintf(text + *n, "}");
    return text;
}

static void million_tensors_are_refused_at_once(void **state)
{
    struct safetensors s;
    struct err e = {0};
    size_t n;
    char *text = many_tensors(1000000, &n);
    (void)state;
    double start = clock_ms();
    assert_false(safetensors_parse(&s, text, n, 8 + n + 1000000, &e));
    assert_true(clock_ms() - start < 5000);
    assert_int_equal(e.kind, ERR_LIMIT);
    assert_string_equal(e.text, "header lists about 1000000 tensors, expected at most 100000");
    free(text);
}

static void as_many_tensors_as_allowed_are_read_in_their_order(void **state)
{
    struct safetensors s;
    struct err e = {0};
    size_t n;
    char *text = many_tensors(SAFETENSORS_MAX_TENSORS, &n);
    (void)state;
    assert_true(safetensors_parse(&s, text, n, 8 + n + SAFETENSORS_MAX_TENSORS, &e));
    assert_int_equal(s.count, SAFETENSORS_MAX_TENSORS);
    for (size_t i = 0; i < s.count; i++)
        assert_int_equal(s.tensors[i].begin, 8 + n + i);
    safetensors_clear(&s);
    free(text);
}

static void header_of_countless_values_is_refused(void **state)
{
    enum { VALUES = 2000000 };
    struct safetensors s;
    struct err e = {0};
    char *text = malloc(2 * VALUES + 20);
    (void)state;
    assert_non_null(text);
    size_t n = (size_t)sprintf(text, "{\"a\":[0");
    for (size_t i = 0; i < VALUES; i++, n += 2)
        memcpy(text + n, ",0", 2);
    n += (size_t)sprintf(text + n, "]}");
    assert_false(safetensors_parse(&s, text, n, 8 + n, &e));
    assert_int_equal(e.kind, ERR_LIMIT);
    assert_string_equal(e.text, "header has about 2000002 values, expected at most 1600000");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_header_is_refused_with_the_tensor_and_what_was_expected),
        cmocka_unit_test(header_length_is_checked_against_the_file),
        cmocka_unit_test(million_tensors_are_refused_at_once),
        cmocka_unit_test(header_of_countless_values_is_refused),
        cmocka_unit_test(as_many_tensors_as_allowed_are_read_in_their_order),
        cmocka_unit_test(tensors_come_in_file_order_with_places_in_the_file),
        cmocka_unit_test(unusual_but_right_headers_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
