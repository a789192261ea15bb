/* linear.h: y = x W^T, for panels of tokens (prefill, encoder) and for single tokens (decode).
 *
 * Weights are used as they lie in the file: bf16 rows and blocks as they are in the fast mode, else widened
 * to f32 a piece at a time in the thread's scratch. Sums over columns are cut at fixed places, so a token's
 * result does not depend on how many tokens are beside it. */
#ifndef FERRY_ENGINE_LAYERS_LINEAR_H
#define FERRY_ENGINE_LAYERS_LINEAR_H

#include "engine/layers/work.h"

/* Scratch that a thread needs for any of the calls below, with weights of at most `cols` columns. */
size_t linear_scratch_bytes(int cols);

/* What products with this weight (and all that take their activations alike, input_of) read: x itself, or x
 * packed into `room`. x [panels][weight->cols][LANES]. */
const void *linear_pack(const struct work *w, const struct tensor *weight, const float *x, int tokens,
                        void *room);

/* y (+)= W x over panels. x from linear_pack; y [panels][weight->rows][LANES]. */
void linear_panels(const struct work *w, const struct tensor *weight, const void *x, float *y, int tokens,
                   bool add);

/* y[panel][row] (+)= bias[row] on the f32 panels, in parallel; nothing when bias->data is NULL. */
void linear_bias(const struct work *w, const struct tensor *bias, float *y, int rows, int tokens);

/* Tokens' vectors as dot products read them: groups of up to DOT_TOKENS, each interleaved (kernels.h).
 * x[t*ldx + i]. For int8, cols is a whole number of blocks. */
size_t dot_input_bytes(int cols, int tokens);
void linear_dot_input(const struct work *w, enum input as, const float *x, size_t ldx, int cols, int tokens,
                      void *out);

/* A product of decode: for each token t < tokens y[t*ldy + r] = W[r] . x[t], plus the bias when there is one.
 */
struct dot {
    const struct linear *linear;
    const void *x; /* made by linear_dot_input */
    float *y;
    size_t ldy;
};

/* Several at once, in one pass of all threads over all their rows. */
void linear_dots(const struct work *w, const struct dot *dots, int count, int tokens);

/* A stored vector as f32. */
void tensor_to_f32(const struct kernels *k, const struct tensor *t, size_t first, size_t n, float *out);

#endif
