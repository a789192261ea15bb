#include "serve/parse/multipart.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define PART(name, value) "--b\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" value "\r\n"

static void broken_bodies_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *body, *message;
    } cases[] = {
        {"", "does not have the boundary"},
        {"hello", "does not have the boundary"},
        {"--c\r\n", "does not have the boundary"},
        {"--b", "form part 1: its boundary line does not end"},
        {"--bb\r\n", "form part 1: its boundary line does not end"},
        {"--b\r\n", "form part 1: its headers have no end"},
        {"--b\r\n\r\nvalue\r\n--b--", "form part 1: no Content-Disposition with a name"},
        {"--b\r\nContent-Type: text/plain\r\n\r\nvalue\r\n--b--",
         "form part 1: no Content-Disposition with a name"},
        {"--b\r\nContent-Disposition: form-data\r\n\r\nv\r\n--b--",
         "form part 1: Content-Disposition has no name"},
        {"--b\r\nContent-Disposition: form-data; filename=\"x\"\r\n\r\nv\r\n--b--", "has no name"},
        {"--b\r\nContent-Disposition: form-data; name=\"x\r\n\r\nv\r\n--b--", "has no name"},
        {"--b\r\nContent-Disposition: form-data; name=\"\"\r\n\r\nv\r\n--b--",
         "no Content-Disposition with a name"},
        {"--b\r\nContent-Disposition: form-data; "
         "name=\"0123456789012345678901234567890123456789012345678901234567890123\"\r\n\r\nv\r\n--b--",
         "one over 63 bytes"},
        {PART("x", "v"), "form part x: no boundary behind it"},
        {PART("x", "v") "--b\r\n", "form part 2: its headers have no end"},
        {PART("x", "v") "--bc", "form part 2: its boundary line does not end"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct multipart_part parts[MULTIPART_MAX_PARTS];
        int count;
        struct err e = {0};
        if (multipart_parse(cases[i].body, strlen(cases[i].body), "b", parts, &count, &e) ||
            !strstr(e.text, cases[i].message))
            fail_msg("%s: \"%s\" lacks \"%s\"", cases[i].body, e.text, cases[i].message);
    }
}

static void too_many_parts_are_refused(void **state)
{
    (void)state;
    static char body[MULTIPART_MAX_PARTS * 64 + 256];
    struct multipart_part parts[MULTIPART_MAX_PARTS];
    struct err e = {0};
    int count;
    for (int i = 0; i < MULTIPART_MAX_PARTS; i++)
        strcat(body, PART("x", "v"));
    size_t n = strlen(body);
    strcpy(body + n, "--b--\r\n");
    assert_true(multipart_parse(body, strlen(body), "b", parts, &count, &e));
    assert_int_equal(count, MULTIPART_MAX_PARTS);
    strcpy(body + n, PART("x", "v") "--b--\r\n");
    assert_false(multipart_parse(body, strlen(body), "b", parts, &count, &e));
    assert_non_null(strstr(e.text, "more than 64 form parts"));
}

static void values_come_out_byte_for_byte(void **state)
{
    (void)state;
    static const char body[] = "preamble\r\n" PART("model", "m") PART("empty", "") PART(
        "lines", "a\r\n--\r\n-b\r\n") "--b \t\r\ncontent-type: audio/wav\r\nCONTENT-DISPOSITION:form-data; "
                                      "filename=\"a; name=z.wav\" ;NAME=file\r\n\r\n"
                                      "RI\0FF\r\n--b--\r\nepilogue";
    struct multipart_part parts[MULTIPART_MAX_PARTS];
    struct err e = {0};
    int count;
    if (!multipart_parse(body, sizeof body - 1, "b", parts, &count, &e))
        fail_msg("%s", e.text);
    assert_int_equal(count, 4);
    static const struct {
        const char *name, *value;
        size_t size;
    } want[] = {
        {"model", "m", 1}, {"empty", "", 0}, {"lines", "a\r\n--\r\n-b\r\n", 11}, {"file", "RI\0FF", 5}};
    for (int i = 0; i < 4; i++) {
        assert_string_equal(parts[i].name, want[i].name);
        assert_int_equal(parts[i].size, want[i].size);
        assert_memory_equal(parts[i].data, want[i].value, want[i].size);
    }
}

/* A body that ends anywhere before its closing boundary is refused, never misread. */
static void a_body_cut_anywhere_is_refused(void **state)
{
    (void)state;
    static const char body[] = PART("model", "m") PART("file", "RIFF") "--b--";
    struct multipart_part parts[MULTIPART_MAX_PARTS];
    int count;
    for (size_t n = 0; n < sizeof body - 1; n++) {
        struct err e = {0};
        assert_false(multipart_parse(body, n, "b", parts, &count, &e));
        assert_true(*e.text);
    }
}

static void boundaries_are_read_quoted_or_not(void **state)
{
    (void)state;
    static const struct {
        const char *type, *boundary; /* NULL: none */
    } cases[] = {
        {"multipart/form-data", NULL},
        {"multipart/form-data; boundary", NULL},
        {"multipart/form-data; boundary=", NULL},
        {"multipart/form-data; boundary=\"open", NULL},
        {"multipart/form-data; "
         "boundary=01234567890123456789012345678901234567890123456789012345678901234567890",
         NULL},
        {"multipart/form-data; "
         "boundary=0123456789012345678901234567890123456789012345678901234567890123456789",
         "0123456789012345678901234567890123456789012345678901234567890123456789"},
        {"multipart/form-data; boundary=----formdata-undici-01", "----formdata-undici-01"},
        {"multipart/form-data;charset=utf-8;Boundary=\"a b\"", "a b"},
        {"multipart/form-data; boundary=x; charset=utf-8", "x"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char boundary[MULTIPART_BOUNDARY];
        assert_int_equal(multipart_boundary(cases[i].type, boundary), cases[i].boundary != NULL);
        if (cases[i].boundary)
            assert_string_equal(boundary, cases[i].boundary);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_bodies_are_refused),         cmocka_unit_test(too_many_parts_are_refused),
        cmocka_unit_test(values_come_out_byte_for_byte),     cmocka_unit_test(a_body_cut_anywhere_is_refused),
        cmocka_unit_test(boundaries_are_read_quoted_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
