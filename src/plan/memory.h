/* memory.h: what `ferry serve` takes of memory, before it takes it. Bytes everywhere.
 *
 *   weights    the files, once: they are read to where the kernels read them
 *   KV cache   for each sequence ceil(context / 256) blocks of 256 positions; a block holds for each layer
 *              and key head  2 * 256 * head_dim * bytes of a value,  in q8 and 2 * 256 * 4 of scales
 *   scratch    activations of 512 tokens or one window of audio, a room for each thread, rows and logits of
 *              each sequence, the residual stream of each prompt
 *   requests   for each sequence: its recording as it came (base64 of 16-bit samples), decoded, as f32
 *              samples, as mel frames, as features
 *   window     ranges under way and what the connections keep of them
 *   process    program, tokenizer, stacks, and the angles of 2 * context positions (f32, head_dim each)
 *
 * KV cache and scratch are the engine's formulas (engine/layers/kv_cache.c, buffers.c, engine.c); a test
 * holds them against engine_memory(). All of it is touched only as it is used: this is the most. */
#ifndef FERRY_PLAN_MEMORY_H
#define FERRY_PLAN_MEMORY_H

#include "model/config.h"

#include <stdint.h>

enum plan_kv { PLAN_KV_BF16, PLAN_KV_Q8, PLAN_KV_F32 };
extern const char *const plan_kv_names[]; /* "bf16", "q8", "f32" */

enum {
    PLAN_KV_BLOCK = 256,
    /* Measured 2026-11-25: 33 MB at most above the weights, when a service with the real vocabulary of
     * 151,643 tokens was ready. Twice that. */
    PLAN_PROCESS_BYTES = 64 << 20,
    /* loader: two ranges of 8 MiB; 32 connections with 64 KiB each (libcurl's buffer, TLS records). */
    PLAN_WINDOW_BYTES = 2 * (8 << 20) + 32 * (64 << 10),
};

/* How the engine will be run. */
struct plan_engine {
    int context, parallel; /* tokens of a sequence; sequences at a time */
    enum plan_kv kv;
    int threads;
    bool bf16_products; /* the CPU multiplies bf16 and the weights are bf16 or in blocks: less scratch.
                           Unknown: false */
    /* Tokens that a prompt's residual stream has room for: 512; 2048 when it computes while weights arrive
     * (at most the context). */
    int pass;
};

enum { PLAN_PASS = 512, PLAN_PASS_ARRIVING = 2048 };

/* One position of one sequence; and of the whole cache. */
uint64_t plan_kv_token_bytes(int layers, int kv_heads, int head_dim, enum plan_kv kv);
uint64_t plan_kv_bytes(int layers, int kv_heads, int head_dim, const struct plan_engine *g);
uint64_t plan_scratch_bytes(const struct model_config *c, const struct plan_engine *g);
/* Of all sequences at a time, each with a recording of that length. */
uint64_t plan_request_bytes(const struct model_config *c, const struct plan_engine *g, double audio_seconds);

struct plan_memory {
    uint64_t weights, kv, scratch, requests, window, process;
};
struct plan_memory plan_memory(const struct model_config *c, const struct plan_engine *g,
                               uint64_t weight_bytes, double audio_seconds);
uint64_t plan_memory_total(const struct plan_memory *m);

/* Ways of others, for comparison: the files in /tmp, which is memory on Cloud Run, and then the weights. */
uint64_t plan_memory_tmp_then_load(uint64_t file_bytes);
/* Shard by shard, each deleted once it is loaded. */
uint64_t plan_memory_shard_by_shard(uint64_t file_bytes, uint64_t largest_file);

#endif
