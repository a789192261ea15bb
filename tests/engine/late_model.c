#include "late_model.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROW_THERE = 1, ROW_WANTED = 2, ALIGNMENT = 64 };

static bool rows_there(void *arg, const int *ids, int count, int except)
{
    struct late_model *l = arg;
    bool there = true;
    pthread_mutex_lock(&l->mutex);
    for (int i = 0; i < count; i++)
        there = there && (ids[i] == except || l->rows[ids[i]] == ROW_THERE);
    pthread_mutex_unlock(&l->mutex);
    return there;
}

static void rows_want(void *arg, const int *ids, int count, int except)
{
    struct late_model *l = arg;
    pthread_mutex_lock(&l->mutex);
    for (int i = 0; i < count; i++)
        if (ids[i] != except && l->rows[ids[i]] == 0) {
            l->rows[ids[i]] = ROW_WANTED;
            l->wanted++;
        }
    pthread_mutex_unlock(&l->mutex);
}

/* The same slots, each in a place of its own. */
static void place_slots(struct late_model *l)
{
    const struct weights *from = l->whole->weights;
    size_t total = 0;
    l->sizes = calloc(from->slot_count, sizeof *l->sizes);
    l->slots = calloc(from->slot_count, sizeof *l->slots);
    assert_non_null(l->sizes);
    assert_non_null(l->slots);
    for (size_t i = 0; i < from->slot_count; i++) {
        const struct tensor *t = from->slots[i].tensor;
        l->sizes[i] = (size_t)t->rows * (size_t)t->cols * dtype_bytes(t->dtype);
        total += (l->sizes[i] + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
    assert_non_null(l->bytes = aligned_alloc(ALIGNMENT, total));
    memset(l->bytes, 0xff, total);
    unsigned char *at = l->bytes;
    for (size_t i = 0; i < from->slot_count; i++) {
        l->slots[i] = at;
        at += (l->sizes[i] + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
}

static void fill_slots(struct late_model *l)
{
    const struct weights *from = l->whole->weights;
    struct err e = {0};
    for (size_t i = 0; i < from->slot_count; i++) {
        struct weight_slot *to = &l->model.weights->slots[i];
        uint64_t shape[3];
        for (int d = 0; d < to->dims; d++)
            shape[d] = (uint64_t)to->shape[d];
        if (!weights_fill(to, from->slots[i].tensor->dtype, shape, to->dims, l->slots[i], l->sizes[i], &e))
            fail_msg("%s", e.text);
        arrival_expect(l->model.arrival, stage_of_slot(&l->model.config, l->model.weights, to), l->sizes[i]);
    }
    assert_true(weights_complete(l->model.weights, &l->model.config, &e));
}

void late_model_init(struct late_model *l, const struct model *whole)
{
    struct err e = {0};
    *l = (struct late_model){.model = {.config = whole->config}, .whole = whole};
    pthread_mutex_init(&l->mutex, NULL);
    memcpy(l->model.name, whole->name, sizeof l->model.name);
    assert_non_null(l->model.weights = weights_new(&whole->config, &e));
    assert_non_null(l->model.arrival = arrival_new(clock_ms(), &e));
    assert_true(arrival_plan(l->model.arrival, &whole->config, &e));
    assert_non_null(l->rows = calloc((size_t)whole->config.text.vocab, 1));
    place_slots(l);
    fill_slots(l);
    arrival_set_rows(l->model.arrival, &(struct arrival_rows){rows_there, rows_want, l});
}

void late_model_clear(struct late_model *l)
{
    weights_free(l->model.weights);
    arrival_free(l->model.arrival);
    pthread_mutex_destroy(&l->mutex);
    free(l->bytes);
    free(l->slots);
    free(l->sizes);
    free(l->rows);
}

/* Rows that are there already stay untouched: somebody may be reading them. */
static void bring_row_locked(struct late_model *l, size_t slot, int id)
{
    const struct tensor *t = &l->whole->weights->embedding;
    size_t row = (size_t)t->cols * dtype_bytes(t->dtype);
    if (l->rows[id] == ROW_THERE)
        return;
    memcpy(l->slots[slot] + (size_t)id * row, (const unsigned char *)t->data + (size_t)id * row, row);
    l->wanted -= l->rows[id] == ROW_WANTED;
    l->rows[id] = ROW_THERE;
}

static void bring_rows(struct late_model *l, size_t slot, bool all)
{
    pthread_mutex_lock(&l->mutex);
    for (int id = 0; id < l->model.config.text.vocab; id++)
        if (all || l->rows[id] == ROW_WANTED)
            bring_row_locked(l, slot, id);
    pthread_mutex_unlock(&l->mutex);
}

static size_t embedding_slot(const struct late_model *l)
{
    size_t i = 0;
    while (l->model.weights->slots[i].tensor != &l->model.weights->embedding)
        i++;
    return i;
}

void late_stage(struct late_model *l, int stage)
{
    const struct weights *from = l->whole->weights;
    for (size_t i = 0; i < from->slot_count; i++) {
        if (stage_of_slot(&l->model.config, l->model.weights, &l->model.weights->slots[i]) != stage)
            continue;
        if (i == embedding_slot(l))
            bring_rows(l, i, true);
        else
            memcpy(l->slots[i], from->slots[i].tensor->data, l->sizes[i]);
        arrival_add(l->model.arrival, stage, l->sizes[i]);
    }
}

void late_wanted_rows(struct late_model *l)
{
    bring_rows(l, embedding_slot(l), false);
    arrival_nudge(l->model.arrival);
}

void late_rows(struct late_model *l, const int *ids, int count)
{
    pthread_mutex_lock(&l->mutex);
    for (int i = 0; i < count; i++)
        bring_row_locked(l, embedding_slot(l), ids[i]);
    pthread_mutex_unlock(&l->mutex);
    arrival_nudge(l->model.arrival);
}

int late_wanted(struct late_model *l)
{
    pthread_mutex_lock(&l->mutex);
    int wanted = l->wanted;
    pthread_mutex_unlock(&l->mutex);
    return wanted;
}

void late_end(struct late_model *l)
{
    arrival_end(l->model.arrival);
}
