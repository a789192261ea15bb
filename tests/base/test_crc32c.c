#include "base/crc32c.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { MANY = 100003 }; /* more than the fast way's largest step, and no multiple of anything */

/* The same bytes every time (xorshift). The caller frees. */
static unsigned char *noise(size_t size)
{
    unsigned char *bytes = malloc(size);
    uint32_t x = 2463534242;
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++) {
        x ^= x << 13, x ^= x >> 17, x ^= x << 5;
        bytes[i] = (unsigned char)x;
    }
    return bytes;
}

/* RFC 3720, appendix B.4, and the value every description of CRC-32C gives as its check. */
static void known_values(void **state)
{
    unsigned char zeros[32] = {0}, ones[32], up[32], down[32];
    (void)state;
    memset(ones, 0xff, sizeof ones);
    for (int i = 0; i < 32; i++) {
        up[i] = (unsigned char)i;
        down[i] = (unsigned char)(31 - i);
    }
    const struct {
        const void *bytes;
        size_t size;
        uint32_t crc;
    } known[] = {
        {"", 0, 0},
        {"a", 1, 0xC1D04330},
        {"123456789", 9, 0xE3069283},
        {zeros, 32, 0x8A9136AA},
        {ones, 32, 0x62A8AB43},
        {up, 32, 0x46DD794E},
        {down, 32, 0x113FDB5C},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        assert_int_equal(crc32c(0, known[i].bytes, known[i].size), known[i].crc);
        assert_int_equal(crc32c_ref(0, known[i].bytes, known[i].size), known[i].crc);
    }
}

static void every_size_and_place_in_memory_gives_what_the_plain_way_gives(void **state)
{
    static const size_t sizes[] = {1, 7, 8, 9, 63, 6143, 6144, 6145, 12287, 12288, 12295, 50001, MANY - 16};
    unsigned char *bytes = noise(MANY);
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (size_t from = 0; from < 9; from++)
            assert_int_equal(crc32c(0, bytes + from, sizes[i]), crc32c_ref(0, bytes + from, sizes[i]));
    }
    free(bytes);
}

static void any_split_gives_the_crc_of_the_whole(void **state)
{
    unsigned char *bytes = noise(MANY);
    uint32_t whole = crc32c_ref(0, bytes, MANY);
    (void)state;
    for (size_t cut = 0; cut <= MANY; cut += cut < 100 ? 1 : 977) {
        uint32_t head = crc32c(0, bytes, cut), tail = crc32c(0, bytes + cut, MANY - cut);
        assert_int_equal(crc32c(head, bytes + cut, MANY - cut), whole);
        assert_int_equal(crc32c_combine(head, tail, MANY - cut), whole);
    }
    free(bytes);
}

static void parts_combine_in_any_grouping(void **state)
{
    unsigned char *bytes = noise(3000);
    uint32_t a = crc32c(0, bytes, 1000), b = crc32c(0, bytes + 1000, 700), c = crc32c(0, bytes + 1700, 1300);
    uint32_t whole = crc32c(0, bytes, 3000);
    (void)state;
    assert_int_equal(crc32c_combine(crc32c_combine(a, b, 700), c, 1300), whole);
    assert_int_equal(crc32c_combine(a, crc32c_combine(b, c, 1300), 2000), whole);
    free(bytes);
}

/* Lengths that no test can hash: 2^63 zero bytes twice are as many as four times 2^62. */
static void lengths_of_64_bits_are_combined(void **state)
{
    const uint64_t half = (uint64_t)1 << 63, quarter = (uint64_t)1 << 62;
    uint32_t crc = 0x12345678;
    (void)state;
    for (int i = 0; i < 4; i++)
        crc = crc32c_combine(crc, 0, quarter);
    assert_int_equal(crc, crc32c_combine(crc32c_combine(0x12345678, 0, half), 0, half));
    assert_int_not_equal(crc, 0x12345678);
}

static void text_is_as_cloud_storage_writes_it(void **state)
{
    static const struct {
        uint32_t crc;
        const char *text;
    } known[] = {
        {0xE3069283, "4waSgw=="}, {0, "AAAAAA=="}, {0xFFFFFFFF, "/////w=="}, {0xFBEFBEF8, "+++++A=="}};
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        char text[CRC32C_TEXT];
        uint32_t crc = 1;
        crc32c_print(known[i].crc, text);
        assert_string_equal(text, known[i].text);
        assert_true(crc32c_parse(text, strlen(text), &crc));
        assert_int_equal(crc, known[i].crc);
    }
}

static void other_text_is_no_crc(void **state)
{
    static const char *const bad[] = {"",         "4waSgw",   "4waSgw=",  "4waSgw===", "4waSgx==", "4wa-gw==",
                                      "4waS w==", "4waSgwAA", "4waSg===", " waSgw==",  "4waSgw=A"};
    uint32_t crc = 7;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(crc32c_parse(bad[i], strlen(bad[i]), &crc));
    assert_false(crc32c_parse("4wa\0gw==", 8, &crc));
    assert_int_equal(crc, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values),
        cmocka_unit_test(every_size_and_place_in_memory_gives_what_the_plain_way_gives),
        cmocka_unit_test(any_split_gives_the_crc_of_the_whole),
        cmocka_unit_test(parts_combine_in_any_grouping),
        cmocka_unit_test(lengths_of_64_bits_are_combined),
        cmocka_unit_test(text_is_as_cloud_storage_writes_it),
        cmocka_unit_test(other_text_is_no_crc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
