#include "model/shard.h"

#include "model/memory_room.h"
#include "model_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { ELEMENTS = 20 << 20, SHRUNK = 17000000 }; /* three pieces of 8 MiB, of which the last is gone */

static void write_shard(const struct scratch *s)
{
    struct layout l;
    layout_begin(&l);
    layout_add(&l, "a", "U8", 8, (int[]){ELEMENTS}, 1);
    scratch_write_safetensors(s, "a.safetensors", l.header, l.bytes);
    layout_end(&l);
}

static void shard_that_shrinks_after_its_header_is_refused(void **state)
{
    struct scratch *s = scratch_new();
    char path[600];
    (void)state;
    scratch_file(s, path, sizeof path, "a.safetensors");
    for (int threads = 0; threads < 4; threads++) {
        struct shard shard;
        struct err e = {0};
        struct pool *pool = threads ? pool_new(threads, &e) : NULL;
        char expected[200];
        write_shard(s);
        assert_true(shard_open(&shard, scratch_path(s), "a.safetensors", &e));
        assert_true(shards_reserve(&shard, 1, &e));
        assert_int_equal(truncate(path, SHRUNK), 0);
        assert_false(shards_read(&shard, 1, pool, &e));
        snprintf(expected, sizeof expected,
                 "a.safetensors: ends at byte %d, expected %zu: truncated, fetch it again", SHRUNK,
                 (size_t)shard.bytes);
        assert_string_equal(e.text, expected);
        assert_int_equal(e.kind, ERR_CORRUPT);
        shard_close(&shard);
        pool_free(pool);
    }
    scratch_free(s);
}

static void shard_keeps_its_layout_from_a_huge_page_on(void **state)
{
    struct scratch *s = scratch_new();
    struct shard was_read, mapped;
    struct err e = {0};
    (void)state;
    write_shard(s);
    assert_true(shard_open(&was_read, scratch_path(s), "a.safetensors", &e));
    assert_true(shard_open(&mapped, scratch_path(s), "a.safetensors", &e));
    assert_true(shards_reserve(&was_read, 1, &e));
    assert_true(shards_read(&was_read, 1, NULL, &e));
    assert_true(shards_map(&mapped, 1, &e));
    assert_int_equal((uintptr_t)was_read.data % (2 << 20), 0);
    assert_int_equal(memcmp(was_read.data, mapped.data, was_read.bytes), 0);
    shard_close(&was_read);
    shard_close(&mapped);
    shard_close(&mapped);
    scratch_free(s);
}

static void memory_room_is_within_the_machine(void **state)
{
    uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    (void)state;
    assert_in_range(memory_room(), 1 << 20, machine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shard_that_shrinks_after_its_header_is_refused),
        cmocka_unit_test(shard_keeps_its_layout_from_a_huge_page_on),
        cmocka_unit_test(memory_room_is_within_the_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
