/* random_weights.h: tensors of random values in bf16, written at the speed of the disk.
 *
 * Matrices are normal with a deviation of 1/sqrt(columns), so that a product of a normed vector has about
 * unit size and activations stay sane through any number of layers; norms are 1, biases small. The values of
 * a tensor depend only on its name and its place in it: two files that hold it agree, whatever their order
 * and however many threads wrote them. */
#ifndef FERRY_BENCH_RANDOM_WEIGHTS_H
#define FERRY_BENCH_RANDOM_WEIGHTS_H

#include "base/err.h"
#include "base/pool.h"
#include "model/weights.h"

#include <stddef.h>
#include <stdint.h>

/* One tensor and where it goes. */
struct placement {
    const struct weight_slot *slot;
    int fd;
    uint64_t offset; /* of its first byte in the file */
};

uint64_t slot_elements(const struct weight_slot *slot);
static inline uint64_t placement_bytes(const struct placement *p)
{
    return slot_elements(p->slot) * dtype_bytes(DTYPE_BF16);
}

/* Writes them all, in pieces spread over the pool. False with *e set: no memory, or a write that failed. */
bool random_weights_write(const struct placement *list, size_t count, struct pool *pool, struct err *e);

#endif
