#include "loader/parts/layout.h"

#include "base/clock.h"
#include "base/crc32c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TINY "data/models/tiny-qwen2-audio"

enum { UNIT = 4096, SHARDS = 3, VOCAB = 1088, HIDDEN = 96 };

/* The tiny model's shards, open, assembled, and cut. */
struct fixture {
    struct arena *arena;
    struct model model;
    struct entry entries[SHARDS];
    struct source sources[SHARDS];
    struct layout layout;
    struct shard *shards;
};

static int open_fixture(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct err e = {0};
    size_t size;
    assert_non_null(f);
    assert_non_null(f->arena = arena_new(64 << 20));
    const struct file_source files = file_source_folder(TINY);
    assert_true(model_name(&f->model, TINY, &e));
    assert_true(model_config_read(&f->model.config, &files, &e));
    const char *text;
    struct shard_index index;
    assert_true(file_source_need(&files, MODEL_INDEX_FILE, 1 << 20, f->arena, &text, &size, &e));
    assert_true(shard_index_parse(&index, text, size, &e));
    assert_int_equal(index.count, SHARDS);
    assert_non_null(f->shards = calloc(SHARDS, sizeof *f->shards));
    for (size_t i = 0; i < SHARDS; i++)
        assert_true(shard_open(&f->shards[i], TINY, index.shards[i], &e));
    assert_true(shards_reserve(f->shards, SHARDS, &e));
    assert_non_null(f->model.arrival = arrival_new(clock_ms(), &e));
    if (!model_assemble(&f->model, f->shards, SHARDS, &index, &e))
        fail_msg("%s", e.text);
    assert_true(arrival_plan(f->model.arrival, &f->model.config, &e));
    for (int i = 0; i < SHARDS; i++) {
        f->entries[i] = (struct entry){.name = f->shards[i].name, .size = f->shards[i].bytes};
        f->sources[i] = (struct source){
            .entry = &f->entries[i], .name = f->shards[i].name, .unit = UNIT, .shard = &f->shards[i]};
    }
    assert_true(layout_make(&f->layout, f->sources, SHARDS, &f->model, NULL, f->arena, &e));
    *state = f;
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;
    struct arrival *a = f->model.arrival;
    model_close(&f->model);
    arrival_free(a);
    arena_free(f->arena);
    free(f);
    return 0;
}

static void ranges_cover_every_byte_once(void **state)
{
    const struct fixture *f = *state;
    const struct layout *l = &f->layout;
    int at = 0;
    for (int s = 0; s < SHARDS; s++) {
        uint64_t begin = 0;
        assert_int_equal(l->sources[s].first, at);
        for (; at < l->sources[s].first + l->sources[s].count; at++) {
            assert_int_equal(l->ranges[at].source, s);
            assert_int_equal(l->ranges[at].begin, begin);
            assert_in_range(l->ranges[at].size, 1, UNIT);
            begin += l->ranges[at].size;
        }
        assert_int_equal(begin, f->shards[s].bytes);
    }
    assert_int_equal(at, l->count);
}

/* When the ranges of one order have come up to a stage's, the stage is there. */
static void check_order(const struct fixture *f, enum order order, const int *stages, int count)
{
    const struct layout *l = &f->layout;
    for (int k = 0; k < count; k++) {
        for (int i = 0; i < l->count; i++)
            if (l->ranges[i].rank[order] == k)
                layout_arrived(l, &l->ranges[i], f->model.arrival);
        for (int after = 0; after <= k; after++)
            assert_true(arrival_has(f->model.arrival, stages[after]));
        if (k + 1 < count)
            assert_false(arrival_has(f->model.arrival, stages[count - 1]));
    }
}

static void recording_needs_the_tower_then_the_decoder_then_the_head(void **state)
{
    static const int stages[] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
    check_order(*state, ORDER_AUDIO, stages, 9);
}

static void text_needs_the_decoder_first_and_the_tower_behind_the_head(void **state)
{
    static const int stages[] = {4, 5, 6, 7, 0, 1, 2, 3, 8};
    check_order(*state, ORDER_TEXT, stages, 9);
}

static void every_byte_that_is_expected_arrives(void **state)
{
    const struct fixture *f = *state;
    struct arrival_progress p;
    arrival_progress(f->model.arrival, &p);
    assert_int_equal(p.total, f->shards[0].bytes + f->shards[1].bytes + f->shards[2].bytes);
    for (int i = 0; i < f->layout.count; i++)
        layout_arrived(&f->layout, &f->layout.ranges[i], f->model.arrival);
    arrival_progress(f->model.arrival, &p);
    assert_int_equal(p.bytes, p.total);
    assert_int_equal(p.reached, 9);
}

static void row_is_in_the_ranges_that_hold_its_bytes(void **state)
{
    const struct fixture *f = *state;
    struct row_places p = layout_rows(&f->layout, &f->model);
    const struct tensor *t = &f->model.weights->embedding;
    assert_int_equal(p.group_bytes, HIDDEN * dtype_bytes(t->dtype));
    for (int id = 0; id < VOCAB; id++) {
        int first, last;
        layout_row(&f->layout, &p, id, &first, &last);
        const struct range *a = &f->layout.ranges[first], *b = &f->layout.ranges[last];
        const unsigned char *row = (const unsigned char *)t->data + (size_t)id * p.group_bytes;
        const unsigned char *file = f->shards[p.source].data;
        assert_true(row >= file + a->begin && row < file + a->begin + a->size);
        assert_true(row + p.group_bytes <= file + b->begin + b->size);
        assert_true(last - first <= 1);
    }
}

static void ranges_of_a_manifest_are_taken_several_at_a_time_when_there_are_many(void **state)
{
    static const struct {
        uint32_t range_bytes; /* 0: no manifest */
        uint64_t bytes;
        uint32_t unit; /* 0: refused */
    } cases[] = {
        {0, 16800000000, 8 << 20},
        {8 << 20, 16800000000, 8 << 20},
        {8 << 20, 1000, 8 << 20},
        {4096, 1000000, 4096},
        {1 << 20, 16800000000, 4 << 20},
        {1, 100, 1},
        {3, 4096 * 6, 9},
        {8 << 20, 65 * (uint64_t)1000000000, 16 << 20},
        {64 << 20, 1000, 64 << 20},
        {65 << 20, 1000, 0},
        {UINT32_MAX, 1000, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct manifest m = {.range_bytes = cases[i].range_bytes};
        struct err e = {0};
        uint32_t unit;
        bool ok = layout_unit(cases[i].range_bytes ? &m : NULL, cases[i].bytes, &unit, &e);
        if (ok != (cases[i].unit != 0) || (ok && unit != cases[i].unit))
            fail_msg("case %zu: %u", i, unit);
        if (!ok)
            assert_int_equal(e.kind, ERR_UNSUPPORTED);
    }
}

static void checksums_of_several_ranges_are_put_together(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    enum { SMALL = 1000 };
    const struct manifest m = {.range_bytes = SMALL};
    struct manifest_file files[SHARDS] = {0};
    struct shard read[SHARDS];
    for (int i = 0; i < SHARDS; i++) { /* the bytes themselves */
        assert_true(shard_open(&read[i], TINY, f->shards[i].name, &e));
        assert_true(shards_map(&read[i], 1, &e));
        uint64_t bytes = read[i].bytes;
        assert_non_null(files[i].ranges = arena_alloc(f->arena, bytes / SMALL + 1, sizeof(uint32_t)));
        for (uint64_t at = 0; at < bytes; at += SMALL)
            files[i].ranges[at / SMALL] =
                crc32c(0, read[i].data + at, bytes - at < SMALL ? bytes - at : SMALL);
        f->sources[i].certified = &files[i];
        f->sources[i].unit = 3 * SMALL;
    }
    assert_true(layout_make(&f->layout, f->sources, SHARDS, &f->model, &m, f->arena, &e));
    for (int i = 0; i < f->layout.count; i++) {
        const struct range *r = &f->layout.ranges[i];
        assert_int_equal(r->crc32c, crc32c(0, read[r->source].data + r->begin, r->size));
    }
    for (int i = 0; i < SHARDS; i++)
        shard_close(&read[i]);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, open_fixture, close_fixture)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_of_a_manifest_are_taken_several_at_a_time_when_there_are_many),
        CASE(ranges_cover_every_byte_once),
        CASE(recording_needs_the_tower_then_the_decoder_then_the_head),
        CASE(text_needs_the_decoder_first_and_the_tower_behind_the_head),
        CASE(every_byte_that_is_expected_arrives),
        CASE(row_is_in_the_ranges_that_hold_its_bytes),
        CASE(checksums_of_several_ranges_are_put_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
