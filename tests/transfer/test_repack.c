/* Packs made of model folders: what is in them, and what becomes of kills, stops and wrong bytes. */
#include "base/crc32c.h"
#include "base/file.h"
#include "model/blocks.h"
#include "model/folder.h"
#include "scratch.h"
#include "transfer/repack.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define TINY "data/models/tiny-qwen2-audio"
enum { PART = 16 << 10, MAX_SHARDS = 4 };

static struct scratch scratch;
static const char *const small_files[] = {"config.json", "generation_config.json",
                                          "preprocessor_config.json"};

/* A model folder to be packed, and the options of a run. */
struct packing {
    struct stores *stores;
    struct store *local;
    struct arena *arena;
    struct model_config config;
    struct entry shards[MAX_SHARDS];
    struct repack_job job;
    struct transfer_options options;
    struct repack *repack;
};

static bool add_shard(void *arg, const struct entry *entry, struct err *e)
{
    struct packing *p = arg;
    (void)e;
    if (strcmp(entry->name + strlen(entry->name) - strlen(".safetensors"), ".safetensors") != 0)
        return true;
    struct entry *to = &p->shards[p->job.count++];
    *to = *entry;
    to->name = arena_strndup(p->arena, entry->name, strlen(entry->name));
    return true;
}

static void packing_open(struct packing *p, const char *folder, enum pack_encoding encoding)
{
    struct err e = {0};
    struct uri uri;
    char prefix[300];
    *p = (struct packing){.arena = arena_new(16 << 20), .stores = stores_new(0, &e)};
    assert_non_null(p->stores);
    assert_true(uri_parse(&uri, scratch_path(&scratch, ""), p->arena, &e));
    p->local = stores_open(p->stores, &uri, &e);
    assert_non_null(p->local);
    const struct file_source files = file_source_folder(folder);
    if (!model_config_read(&p->config, &files, &e))
        fail_msg("%s", e.text);
    snprintf(prefix, sizeof prefix, "%s/", folder);
    assert_true(store_list(p->local, prefix, STORE_DEEP, add_shard, p, &e));
    p->job.from = p->job.to = p->local;
    p->job.shards = p->shards;
    p->job.config = &p->config;
    p->job.encoding = encoding;
    p->job.origin = (struct pack_origin){"hf://owner/name", "0123abcd"};
    p->job.target = arena_printf(p->arena, "%s", scratch_path(&scratch, "pack/model.safetensors"));
    p->options = (struct transfer_options){.part_bytes = PART};
}

static bool packing_run(struct packing *p, struct err *e)
{
    p->repack = repack_new(&p->job, &p->options, e);
    return p->repack && repack_run(p->repack, e);
}

static void packing_ok(struct packing *p)
{
    struct err e = {0};
    if (!packing_run(p, &e))
        fail_msg("%s", e.text);
}

static void packing_close(struct packing *p)
{
    repack_free(p->repack);
    stores_free(p->stores);
    arena_free(p->arena);
}

static void copy_file(const char *from, const char *to)
{
    struct file_map m;
    struct err e = {0};
    assert_true(file_map(&m, from, &e));
    FILE *out = fopen(scratch_path(&scratch, to), "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(m.data, 1, m.size, out), m.size);
    fclose(out);
    file_unmap(&m);
}

/* The pack as a folder that can be opened. */
static void open_pack(struct model *m)
{
    struct err e = {0};
    char from[300], to[300];
    for (size_t i = 0; i < sizeof small_files / sizeof *small_files; i++) {
        snprintf(from, sizeof from, TINY "/%s", small_files[i]);
        snprintf(to, sizeof to, "pack/%s", small_files[i]);
        copy_file(from, to);
    }
    if (!model_open(m, scratch_path(&scratch, "pack"), FOLDER_MAP, NULL, &e))
        fail_msg("%s", e.text);
}

static float value_of(const struct tensor *t, int row, int col)
{
    size_t at = (size_t)row * (size_t)t->cols + (size_t)col;
    float f;
    if (dtype_is_blocks(t->dtype)) {
        blocks_decode(t->dtype, t->data, t->cols, row, col, 1, &f);
    } else if (t->dtype == DTYPE_F32) {
        f = ((const float *)t->data)[at];
    } else {
        uint32_t bits = (uint32_t)((const uint16_t *)t->data)[at] << 16;
        assert_int_equal(t->dtype, DTYPE_BF16);
        memcpy(&f, &bits, sizeof f);
    }
    return f;
}

/* Every tensor is there, and no value further from the source's than its block's step allows: half of it, or
 * all of it at the end of q4_0 that has no +8, and what the scale loses as an f16. */
static void expect_weights(const struct model *source, const struct model *pack, enum pack_encoding encoding)
{
    int blocks = 0;
    for (size_t i = 0; i < source->weights->slot_count; i++) {
        const struct tensor *a = source->weights->slots[i].tensor, *b = pack->weights->slots[i].tensor;
        float step = !dtype_is_blocks(b->dtype) ? 0 : b->dtype == DTYPE_Q8_0 ? 0.57f / 127 : 1.02f / 8;
        blocks += dtype_is_blocks(b->dtype);
        assert_int_equal((uintptr_t)b->data % PACK_ALIGNMENT, 0);
        for (int row = 0; row < a->rows; row++) {
            for (int col = 0; col < a->cols; col++) {
                float most = 0, x = value_of(a, row, col), y = value_of(b, row, col);
                for (int k = col / BLOCK_COLS * BLOCK_COLS;
                     step > 0 && k < col / BLOCK_COLS * BLOCK_COLS + BLOCK_COLS; k++)
                    most = fmaxf(most, fabsf(value_of(a, row, k)));
                if (!(fabsf(x - y) <= step * most))
                    fail_msg("%s [%d][%d] is %g, %g in the pack", source->weights->slots[i].name, row, col,
                             (double)x, (double)y);
            }
        }
    }
    assert_true(encoding == PACK_BF16 ? blocks == 0 : blocks > 20);
}

static void expect_order(const struct model *pack)
{
    const char *last = NULL;
    const struct weights *w = pack->weights;
    for (size_t i = 0; i < w->slot_count; i++) {
        const char *data = w->slots[i].tensor->data;
        if (w->slots[i].tensor == &w->embedding)
            continue;
        assert_true(!last || data > last);
        assert_true(data < (const char *)w->embedding.data);
        last = data;
    }
}

static void expect_result(const struct packing *p)
{
    const struct repack_result *r = repack_result(p->repack);
    struct file_map m;
    struct err e = {0};
    assert_true(file_map(&m, p->job.target, &e));
    assert_int_equal(m.size, r->size);
    assert_int_equal(crc32c(0, m.data, m.size), r->crc32c);
    assert_int_equal(r->range_count, (m.size + PART - 1) / PART);
    for (int i = 0; i < r->range_count; i++) {
        size_t at = (size_t)i * PART;
        assert_int_equal(crc32c(0, m.data + at, m.size - at < PART ? m.size - at : PART), r->ranges[i]);
    }
    file_unmap(&m);
}

static void pack_holds_the_models_weights_in_the_order_of_use(void **state)
{
    (void)state;
    struct model source;
    struct err e = {0};
    assert_true(model_open(&source, TINY, FOLDER_MAP, NULL, &e));
    for (enum pack_encoding encoding = PACK_BF16; encoding <= PACK_Q4_0; encoding++) {
        for (int workers = 1; workers <= 5; workers += 2) {
            struct packing p;
            struct model pack;
            packing_open(&p, TINY, encoding);
            p.options.workers = workers;
            packing_ok(&p);
            open_pack(&pack);
            expect_weights(&source, &pack, encoding);
            expect_order(&pack);
            expect_result(&p);
            struct transfer_progress progress;
            repack_progress(p.repack, &progress);
            assert_int_equal(progress.bytes_done, progress.bytes_total);
            assert_int_equal(progress.files_done, 3);
            model_close(&pack);
            packing_close(&p);
            scratch_delete(&scratch, "pack");
        }
    }
    model_close(&source);
}

static void pack_is_not_packed_again(void **state)
{
    (void)state;
    struct packing p, again;
    struct err e = {0};
    struct model pack;
    packing_open(&p, TINY, PACK_Q8_0);
    packing_ok(&p);
    open_pack(&pack);
    model_close(&pack);
    packing_open(&again, scratch_path(&scratch, "pack"), PACK_Q4_0);
    again.job.target = arena_printf(again.arena, "%s", scratch_path(&scratch, "again"));
    assert_false(packing_run(&again, &e));
    assert_non_null(strstr(e.text, "is encoded already (q8_0)"));
    packing_close(&again);
    packing_close(&p);
    scratch_delete(&scratch, "pack");
}

static void wrong_hash_publishes_nothing(void **state)
{
    (void)state;
    struct packing p;
    struct err e = {0};
    packing_open(&p, TINY, PACK_Q8_0);
    p.shards[1].sha256 = "0000000000000000000000000000000000000000000000000000000000000000";
    assert_false(packing_run(&p, &e));
    assert_int_equal(e.kind, ERR_CORRUPT);
    assert_non_null(strstr(e.text, "model-00002-of-00003.safetensors: sha256 of what arrived is "));
    assert_false(file_exists(p.job.target));
    packing_close(&p);
    packing_open(&p, TINY, PACK_Q8_0);
    p.shards[2].has_crc32c = true;
    p.shards[2].crc32c = 1;
    e = (struct err){0};
    assert_false(packing_run(&p, &e));
    assert_non_null(strstr(e.text, "model-00003-of-00003.safetensors: crc32c of what arrived is "));
    assert_false(file_exists(p.job.target));
    packing_close(&p);
}

static void value_that_no_block_can_hold_is_named(void **state)
{
    (void)state;
    struct packing p;
    struct err e = {0};
    struct model m;
    char leaf[64], name[64];
    for (int i = 1; i <= 3; i++) {
        snprintf(name, sizeof name, TINY "/model-0000%d-of-00003.safetensors", i);
        snprintf(leaf, sizeof leaf, "bad/model-0000%d-of-00003.safetensors", i);
        scratch_write(&scratch, leaf, 1, 1);
        copy_file(name, leaf);
    }
    assert_true(model_open(&m, TINY, FOLDER_MAP, NULL, &e));
    const struct tensor *t = &m.weights->decoder[1].q.weight;
    uint16_t infinite = 0x7f80;
    for (int i = 1; i <= 3; i++) { /* in the shard that holds it */
        struct file_map whole;
        snprintf(name, sizeof name, TINY "/model-0000%d-of-00003.safetensors", i);
        snprintf(leaf, sizeof leaf, "bad/model-0000%d-of-00003.safetensors", i);
        assert_true(file_map(&whole, name, &e));
        unsigned char *found =
            memmem(whole.data, whole.size, t->data, (size_t)t->rows * (size_t)t->cols * sizeof infinite);
        if (found) {
            FILE *f = fopen(scratch_path(&scratch, leaf), "r+b");
            fseek(f, found - whole.data + (3 * t->cols + 5) * 2, SEEK_SET);
            fwrite(&infinite, sizeof infinite, 1, f);
            fclose(f);
        }
        file_unmap(&whole);
    }
    model_close(&m);
    for (size_t i = 0; i < sizeof small_files / sizeof *small_files; i++) {
        snprintf(name, sizeof name, TINY "/%s", small_files[i]);
        snprintf(leaf, sizeof leaf, "bad/%s", small_files[i]);
        copy_file(name, leaf);
    }
    packing_open(&p, scratch_path(&scratch, "bad"), PACK_Q4_0);
    assert_false(packing_run(&p, &e));
    assert_non_null(strstr(e.text, "layers.1.self_attn.q_proj.weight: row 3, column 5 is inf, which q4_0 "
                                   "cannot hold"));
    packing_close(&p);
    scratch_delete(&scratch, "bad");
}

/* Stops a run when so many bytes of the source have passed. */
struct stopper {
    struct repack *repack;
    uint64_t bytes;
    volatile sig_atomic_t stop;
    atomic_bool ended;
};

static void *watch(void *arg)
{
    struct stopper *s = arg;
    struct transfer_progress p = {0};
    while (!atomic_load(&s->ended) && p.bytes_done < s->bytes)
        repack_progress(s->repack, &p);
    __atomic_store_n(&s->stop, 1, __ATOMIC_RELAXED);
    return NULL;
}

static struct journal *open_journal(void)
{
    struct err e = {0};
    struct journal *j = journal_open("hf://owner/name", "pack", &e);
    if (!j)
        fail_msg("%s", e.text);
    return j;
}

static void stopped_it_goes_on(void **state)
{
    (void)state;
    struct err e = {0};
    uint64_t moved = 0, size = 0;
    bool done = false;
    for (int run = 1; !done; run++) {
        struct packing p;
        struct stopper s = {.bytes = (uint64_t)run * 300000};
        pthread_t thread;
        struct journal *j = open_journal();
        packing_open(&p, TINY, PACK_Q8_0);
        p.options.workers = 2;
        p.options.journal = j;
        p.options.stop = &s.stop;
        p.repack = s.repack = repack_new(&p.job, &p.options, &e);
        assert_non_null(p.repack);
        assert_int_equal(pthread_create(&thread, NULL, watch, &s), 0);
        done = repack_run(p.repack, &e);
        atomic_store(&s.ended, true);
        pthread_join(thread, NULL);
        assert_true(done || e.kind == ERR_CANCELLED);
        e = (struct err){0};
        moved += repack_result(p.repack)->moved;
        size = repack_result(p.repack)->size;
        assert_int_equal(file_exists(p.job.target), done);
        if (done) {
            expect_result(&p);
            assert_true(journal_remove(j, &e));
        } else {
            journal_close(j);
        }
        packing_close(&p);
    }
    assert_int_equal(moved, size); /* no part was stored twice */
    scratch_delete(&scratch, "pack");
}

static void finished_it_is_not_made_again(void **state)
{
    (void)state;
    struct err e = {0};
    struct journal *j = open_journal();
    for (int i = 0; i < 2; i++) {
        struct packing p;
        packing_open(&p, TINY, PACK_Q4_0);
        p.options.journal = j;
        packing_ok(&p);
        assert_int_equal(repack_result(p.repack)->was_there, i);
        expect_result(&p);
        packing_close(&p);
    }
    assert_true(journal_remove(j, &e));
    scratch_delete(&scratch, "pack");
}

static int start(void **state)
{
    (void)state;
    scratch_make(&scratch);
    return 0;
}

static int end(void **state)
{
    (void)state;
    scratch_remove(&scratch);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pack_holds_the_models_weights_in_the_order_of_use),
        cmocka_unit_test(pack_is_not_packed_again),
        cmocka_unit_test(wrong_hash_publishes_nothing),
        cmocka_unit_test(value_that_no_block_can_hold_is_named),
        cmocka_unit_test(stopped_it_goes_on),
        cmocka_unit_test(finished_it_is_not_made_again),
    };
    return cmocka_run_group_tests(tests, start, end);
}
