/* onednn.h: y = x W^T by oneDNN (libdnnl), the yardstick for our own products. Weights are packed before, in
 * the layout that the library asks for; x and y are plain rows. */
#ifndef FERRY_BENCH_ONEDNN_H
#define FERRY_BENCH_ONEDNN_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct onednn;

struct onednn_shape {
    int rows;     /* N: rows of W, columns of y */
    int cols;     /* K */
    int tokens;   /* M: rows of x and y */
    int matrices; /* how many W there are; each call takes one */
    int threads;
    bool bf16; /* x and W in bf16, y in f32; else all in f32 */
};

/* W: [matrices][rows][cols] in bf16 (widened for f32). x: [tokens][cols] in f32, rounded for bf16. NULL with
 * *e set: no memory, or the library cannot compute this. */
struct onednn *onednn_new(const struct onednn_shape *s, const uint16_t *weights, const float *x,
                          struct err *e);
void onednn_free(struct onednn *o); /* NULL is fine */

/* y = x W^T with matrix number i; returns when it is done. */
bool onednn_run(struct onednn *o, int i, struct err *e);
const float *onednn_y(const struct onednn *o); /* [tokens][rows] */

/* Its threads look for work for some milliseconds after a call; this waits until they sleep. */
void onednn_settle(void);

/* "oneDNN 2.6.3" */
const char *onednn_name(char out[32]);

#endif
