/* peers.h: other programs' speed, asked of their own bench tools: llama-batched-bench (llama.cpp and its
 * forks) and whisper-bench (whisper.cpp). They are no part of this project; whoever has them says where. */
#ifndef FERRY_BENCH_PEERS_H
#define FERRY_BENCH_PEERS_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct peer {
    const char *path;  /* of the bench tool; NULL: there is none */
    const char *model; /* what it loads */
    const char *name;  /* as it stands in our rows; no commas */
    int threads;
};

/* A row of llama-batched-bench's table: `sequences` prompts at once, then a token for each at a time. */
struct llama_row {
    int prompt, generated, sequences;
    double prefill_per_s, decode_per_s; /* tokens, of all sequences together */
};

/* One run of the tool: a row for each of counts[0..n) sequences. False with *e set: it did not start, failed,
 * or its table was not what was asked for. */
bool peer_llama(const struct peer *p, int prompt, int generated, const int *counts, size_t n,
                struct llama_row *rows, struct err *e);

/* Milliseconds that whisper-bench's encoder takes for its one window of 30 s. */
bool peer_whisper(const struct peer *p, double *encode_ms, struct err *e);

#endif
