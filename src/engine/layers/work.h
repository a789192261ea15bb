/* work.h: what every layer needs to compute: kernels, threads, scratch. And the shape of panels.
 *
 * Activations of prefill and encoder are panels: tokens in groups of LANES, each group [features][LANES] f32,
 * one group after the other. A product's input is `packed`: pairs of bf16 when the engine multiplies bf16,
 * int8 beside weights in blocks, else the f32 panels themselves. */
#ifndef FERRY_ENGINE_LAYERS_WORK_H
#define FERRY_ENGINE_LAYERS_WORK_H

#include "base/pool.h"
#include "engine/kernel/kernels.h"
#include "model/blocks.h"

struct work {
    const struct kernels *k;
    struct pool *pool;
    bool bf16;                     /* products take activations rounded to bf16 */
    bool i8;                       /* and beside weights in blocks to int8 */
    unsigned char *thread_scratch; /* [threads][thread_scratch_bytes], each for one task at a time */
    size_t thread_scratch_bytes;
};

static inline void *work_scratch(const struct work *w, int thread)
{
    return w->thread_scratch + (size_t)thread * w->thread_scratch_bytes;
}

static inline int panel_count(int tokens)
{
    return (tokens + LANES - 1) / LANES;
}

/* Lanes to compute in a panel: those in use, rounded up to what kernels take. */
static inline int panel_lanes(int tokens, int panel)
{
    int left = tokens - panel * LANES;
    if (left >= LANES)
        return LANES;
    return (left + LANE_STEP - 1) / LANE_STEP * LANE_STEP;
}

/* What a product takes its activations as. */
enum input { INPUT_F32, INPUT_BF16, INPUT_I8 };

static inline enum input input_of(const struct work *w, const struct tensor *weight)
{
    if (w->i8 && dtype_is_blocks(weight->dtype))
        return INPUT_I8;
    return w->bf16 && weight->dtype == DTYPE_BF16 ? INPUT_BF16 : INPUT_F32;
}

/* Bytes of packed panels; as int8 they take less than as bf16. */
static inline size_t packed_bytes(bool as_bf16, int features, int tokens)
{
    size_t values = (size_t)panel_count(tokens) * LANES * (size_t)(features + features % 2);
    return values * (as_bf16 ? sizeof(bf16) : sizeof(float));
}

#endif
