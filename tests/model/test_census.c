/* What tensors come to: of plain files, of packs, of types that Ferry does not compute with. */
#include "model/census.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void add(struct census *c, const char *json, uint64_t data)
{
    struct safetensors s;
    struct err e = {0};
    char header[1000]; /* filled up with spaces, so that the data is aligned */
    memset(header, ' ', sizeof header);
    memcpy(header, json, strlen(json));
    uint64_t file = SAFETENSORS_LENGTH_BYTES + sizeof header + data;
    if (!safetensors_parse(&s, header, sizeof header, file, &e))
        fail_msg("%s", e.text);
    census_add(c, &s, file);
    safetensors_clear(&s);
}

static void types_are_counted_and_the_largest_comes_first(void **state)
{
    (void)state;
    struct census c = {0};
    add(&c,
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
        "\"b\":{\"dtype\":\"BF16\",\"shape\":[100],\"data_offsets\":[24,224]}} ",
        224);
    add(&c,
        "{\"c\":{\"dtype\":\"I32\",\"shape\":[4],\"data_offsets\":[0,16]},"
        "\"d\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[16,20]}}",
        20);
    assert_int_equal(c.files, 2);
    assert_int_equal(c.tensors, 4);
    assert_int_equal(c.parameters, 6 + 100 + 4 + 1);
    assert_int_equal(c.bytes, 244);
    assert_int_equal(c.type_count, 3);
    assert_string_equal(c.types[0].name, "BF16");
    assert_string_equal(c.types[1].name, "F32");
    assert_int_equal(c.types[1].parameters, 7);
    assert_int_equal(c.types[1].bytes, 28);
    assert_string_equal(c.types[2].name, "I32");
    assert_false(c.encoded);
    assert_int_equal(c.file_bytes, 2 * 1008 + 244);
    assert_int_equal(c.largest_file, 1008 + 224);
}

static void types_of_half_a_byte_are_counted(void **state)
{
    (void)state;
    struct census c = {0};
    add(&c, "{\"a\":{\"dtype\":\"F4\",\"shape\":[10],\"data_offsets\":[0,5]}}", 5);
    assert_int_equal(c.parameters, 10);
    assert_int_equal(c.bytes, 5);
}

/* One tile of q8_0, 1088 bytes, stands for 5 rows of 32; 64 bytes of padding for nothing. */
static void blocks_of_a_pack_stand_for_their_values(void **state)
{
    (void)state;
    struct census c = {0};
    add(&c,
        "{\"__metadata__\":{\"ferry.pack\":\"1\",\"q8_0:a\":\"[5, 32]\"},"
        "\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1088],\"data_offsets\":[0,1088]},"
        "\"pad.0\":{\"dtype\":\"U8\",\"shape\":[64],\"data_offsets\":[1088,1152]}}",
        1152);
    assert_true(c.encoded);
    assert_int_equal(c.tensors, 1);
    assert_int_equal(c.parameters, 160);
    assert_int_equal(c.bytes, 1088);
    assert_string_equal(c.types[0].name, "q8_0");
}

/* What a pack says of its blocks may be nonsense: they stand for nothing then. */
static void blocks_without_a_shape_stand_for_nothing(void **state)
{
    (void)state;
    struct census c = {0};
    add(&c,
        "{\"__metadata__\":{\"ferry.pack\":\"1\",\"q4_0:a\":\"many\"},"
        "\"a\":{\"dtype\":\"U8\",\"shape\":[576],\"data_offsets\":[0,576]}}",
        576);
    assert_int_equal(c.parameters, 0);
    assert_int_equal(c.bytes, 576);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_are_counted_and_the_largest_comes_first),
        cmocka_unit_test(types_of_half_a_byte_are_counted),
        cmocka_unit_test(blocks_of_a_pack_stand_for_their_values),
        cmocka_unit_test(blocks_without_a_shape_stand_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
