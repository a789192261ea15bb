/* blocks.h: weights in blocks of 32 columns with one scale each: q8_0 and q4_0.
 *
 *   q8_0   w = d * q        q in -127..127     34 bytes for 32 weights
 *   q4_0   w = d * (q - 8)  q in 0..15         18 bytes
 *
 * q and d (an f16) are those of ggml's blocks of the same name, bit for bit. They lie differently: in tiles
 * of 16 rows by 2 blocks, so that one 64-byte vector holds 4 columns of 16 rows, which is what products read
 * (engine/kernel/kernels.h), from the first byte to the last:
 *
 *   q8_0 tile, 1088 bytes:  for each block, for each 4 columns: 16 rows of 4 bytes, q + 128;  then d[2][16]
 *   q4_0 tile,  576 bytes:  for each block, for each 4 columns of its first half: 16 rows of 4 bytes, the low
 *                           four bits q of that column, the high four bits q of the column 16 further on;
 *                           then d[2][16]
 *
 * A matrix is its strips of 16 rows one after the other, each the tiles of its columns; what lies outside
 * (rows % 16, columns % 64) is d = 0. Stateless; any thread. */
#ifndef FERRY_MODEL_BLOCKS_H
#define FERRY_MODEL_BLOCKS_H

#include "model/weights.h"

enum {
    BLOCK_COLS = 32,
    TILE_ROWS = 16,
    TILE_BLOCKS = 2,
    TILE_COLS = TILE_BLOCKS * BLOCK_COLS,
    Q8_BLOCK_BYTES = TILE_ROWS * BLOCK_COLS,     /* q of one block of 16 rows */
    Q4_BLOCK_BYTES = TILE_ROWS * BLOCK_COLS / 2, /* the same in halves of bytes */
    TILE_SCALE_BYTES = TILE_BLOCKS * TILE_ROWS * 2,
    Q8_TILE_BYTES = TILE_BLOCKS * Q8_BLOCK_BYTES + TILE_SCALE_BYTES,
    Q4_TILE_BYTES = TILE_BLOCKS * Q4_BLOCK_BYTES + TILE_SCALE_BYTES,
    Q8_OFFSET = 128, /* what is stored above q */
    Q4_OFFSET = 8,
};

bool dtype_is_blocks(enum dtype t); /* DTYPE_Q8_0, DTYPE_Q4_0 */

/* As ggml: a matrix whose rows are no whole number of blocks is not encoded. */
bool blocks_fit(int cols);
int blocks_strips(int rows);
int blocks_tiles(int cols);             /* of one strip */
size_t blocks_tile_bytes(enum dtype t); /* of Q8_0 or Q4_0 */
size_t blocks_strip_bytes(enum dtype t, int cols);

/* The largest value a block can hold: that of the largest scale, an f16. */
float blocks_most(enum dtype t);

/* rows <= TILE_ROWS rows of f32 (row stride cols, a whole number of blocks) to one strip. No value may
 * be larger than blocks_most. */
void blocks_encode(enum dtype t, const float *x, int rows, int cols, void *strip);

/* n values of row `row` of a matrix from column col on: exactly d * q. */
void blocks_decode(enum dtype t, const void *matrix, int cols, int row, int col, int n, float *out);

/* One block as ggml lays it out: an f16 and 32 (q8_0) or 16 (q4_0) bytes. Returns how many bytes those are.
 */
enum { GGML_Q8_BYTES = 34, GGML_Q4_BYTES = 18 };
size_t blocks_as_ggml(enum dtype t, const void *matrix, int cols, int row, int block, uint8_t *out);

#endif
