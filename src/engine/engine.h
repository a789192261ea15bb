/* engine.h: a loaded model that turns prompts into logits.
 *
 *   engine   the weights, the kernels picked for this CPU, scratch: one per process
 *   session  one timeline of tokens: its KV cache, its logits; at most `parallel` at a time
 *
 * The weights may still be arriving (model->arrival): each step waits for those it reads, so a prompt goes
 * through the model right behind them. While they arrive all chunks of a prompt go through a layer before any
 * goes on to the next, up to ENGINE_PASS tokens.
 *
 * All calls on an engine and its sessions come from one thread (the pool works for it inside).
 * Results never depend on what else runs: a session's logits are bit-identical alone or beside others, and
 * however its prompt was cut into pieces. */
#ifndef FERRY_ENGINE_ENGINE_H
#define FERRY_ENGINE_ENGINE_H

#include "base/err.h"
#include "base/pool.h"
#include "engine/prompt.h"
#include "model/folder.h"

#include <stdbool.h>
#include <stddef.h>

struct engine;
struct session;

/* Tokens of a prompt that wait together for the next layer while weights arrive: 30 s of audio are 750. */
enum { ENGINE_PASS = 2048 };

enum math_mode {
    MATH_FAST,  /* activations rounded to bf16 where the CPU multiplies bf16, to int8 beside q8_0 and q4_0 */
    MATH_EXACT, /* f32 activations everywhere */
};

enum kv_type {
    KV_AUTO, /* bf16 in fast mode, f32 in exact mode */
    KV_BF16,
    KV_Q8, /* int8 with one f32 scale per position and head: about half of bf16 */
    KV_F32,
};

struct engine_options {
    enum math_mode math;
    enum kv_type kv;
    int context;     /* most tokens per session; 0: the model's max_positions */
    int parallel;    /* sessions at a time; 0 means 1 */
    const char *cpu; /* "ref", "avx2", "avx512"; NULL: the best this CPU has */
};

/* model and pool stay the caller's and must outlive the engine. NULL with *e set: an unknown or unsupported
 * cpu, or no memory. KV caches are reserved here and touched as sessions grow. */
struct engine *engine_new(const struct model *m, struct pool *pool, const struct engine_options *o,
                          struct err *e);
void engine_free(struct engine *g); /* NULL is fine; its sessions must be gone */

const struct model_config *engine_config(const struct engine *g);
const char *engine_cpu(const struct engine *g); /* "avx512", …: the kernel table in use */
int engine_context(const struct engine *g);
int engine_parallel(const struct engine *g);

struct engine_memory {
    size_t weight_bytes, kv_bytes, scratch_bytes;
};
struct engine_memory engine_memory(const struct engine *g);

/* A free session, empty. NULL with *e set (ERR_BUSY) when all are taken. */
struct session *session_new(struct engine *g, struct err *e);
void session_free(struct session *s); /* NULL is fine */

/* Gives an empty session its prompt; nothing is computed yet. The prompt stays the caller's until prefill is
 * done. False with *e set: longer than the context, an id outside the vocabulary, clips and placeholders
 * that do not match, audio for a model without ears. */
bool session_begin(struct session *s, const struct prompt *p, struct err *e);

/* Works on the prompt for about budget_ms (at least one layer of one chunk; INFINITY: until done), so that
 * a caller can let others decode in between; a budget below 200 ms also makes the chunks smaller. Several
 * sessions may be between calls; each resumes where it was. *done: the logits of the last position are there.
 * False with *e set when the weights will not come. */
bool session_prefill(struct session *s, double budget_ms, bool *done, struct err *e);

/* True when the next step of its prompt would wait for weights. */
bool session_waits(const struct session *s);

/* How far the prompt is, 0..1, for progress. */
double session_progress(const struct session *s);

/* Feeds tokens[i] to sessions[i], all in one pass over the weights, and computes their next logits.
 * 1 <= n <= parallel; the sessions are distinct and their prefill is done. Waits for the tokens' rows of the
 * embedding when it is not there yet. False with *e set when a session's context is full (none is changed).
 */
bool engine_decode(struct engine *g, struct session *const *sessions, const int *tokens, int n,
                   struct err *e);

/* [vocab] f32, raw scores of the next token; valid until the session is fed, freed or forked into. */
const float *session_logits(const struct session *s);
int session_length(const struct session *s); /* tokens in the cache */

/* A new session with the same past and logits as s, whose prefill is done. */
struct session *session_fork(struct session *s, struct err *e);

#endif
