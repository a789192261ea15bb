#include "engine/engine.h"

#include "base/clock.h"
#include "engine/layers/attention.h"
#include "engine/layers/decoder.h"
#include "engine/layers/encoder.h"
#include "engine/layers/linear.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum session_state { SESSION_EMPTY, SESSION_PREFILLING, SESSION_READY };

struct session {
    struct engine *engine;
    bool taken;
    enum session_state state;
    struct kv_cache cache;
    int length;    /* tokens whose keys and values are in the cache */
    float *logits; /* [vocab] */

    /* Of the prompt on its way; released when it is through. */
    const struct prompt *prompt;
    struct pages residual; /* x of the chunk or clip at hand */
    float *features;       /* [audio tokens][hidden] */
    int features_ready, features_used;
    int clip,
        layer;    /* next step: of a clip's encoder while there are clips, then of the decoder, then head */
    int room;     /* tokens that residual holds */
    int pass, at; /* tokens that go through a layer before any goes on, and how many are through this one */
    bool hears;   /* the prompt has clips */
    double work_done, work; /* frames or tokens times layers */
};

struct engine {
    const struct model *model;
    struct work work;
    struct pages thread_scratch;
    struct buffers buffers;
    struct rope_table rope;
    struct kv_cache audio_cache; /* one encoder layer's */
    struct encoder encoder;
    struct decoder decoder;
    struct tap tap;
    struct rows rows;
    struct pages row_pages, logit_pages;
    float *batch_logits; /* [parallel][vocab] */
    int context, parallel;
    enum kv_type kv;
    const struct kv_cache **caches; /* [parallel], of the batch at hand */
    int *positions;
    struct session *sessions; /* [parallel] */
};

/* With a budget below this, others wait for the next token between two layers. A chunk of 512 tokens takes
 * 0.3 s per layer of a 7B model on two cores; a quarter of it costs a tenth of the speed and no bit of the
 * result. */
static const double shared_budget_ms = 200;
enum { SHARED_CHUNK = 128 };

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* --- what a step needs -----------------------------------------------------------------------------------
 */

/* A clip too short for a single audio token: nothing stands in the prompt, nothing is computed. */
static bool is_silent(const struct session *s)
{
    return mel_tokens(s->prompt->clips[s->clip].frames) == 0;
}

/* The weights that the next step reads; the encoder's steps are the first stages. */
static int next_stage(const struct session *s)
{
    const struct model_config *c = &s->engine->model->config;
    if (s->clip < s->prompt->clip_count)
        return s->layer;
    return s->layer < c->text.layers ? stage_decoder(c, s->layer) : stage_head(c);
}

static bool begins_pass(const struct session *s)
{
    return s->clip == s->prompt->clip_count && s->layer == 0 && s->at == 0;
}

bool session_waits(const struct session *s)
{
    struct arrival *a = s->engine->model->arrival;
    if (s->state != SESSION_PREFILLING || arrival_complete(a) ||
        (s->clip < s->prompt->clip_count && is_silent(s)))
        return false;
    const struct prompt *p = s->prompt;
    return !arrival_has(a, next_stage(s)) ||
           (begins_pass(s) &&
            !arrival_has_rows(a, p->ids, p->count, s->engine->model->config.audio_token_id));
}

static bool wait_for_weights(struct session *s, struct err *e)
{
    struct arrival *a = s->engine->model->arrival;
    const struct prompt *p = s->prompt;
    if (arrival_complete(a) || (s->clip < p->clip_count && is_silent(s)))
        return true;
    return arrival_wait(a, next_stage(s), e) &&
           (!begins_pass(s) ||
            arrival_wait_rows(a, p->ids, p->count, s->engine->model->config.audio_token_id, e));
}

/* --- birth and death --------------------------------------------------------------------------------------
 */

static size_t most(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Every matrix is bf16 or in blocks. */
static bool fast_weights(const struct weights *w)
{
    for (size_t i = 0; i < w->slot_count; i++) {
        enum dtype t = w->slots[i].tensor->dtype;
        if (w->slots[i].dims > 1 && t != DTYPE_BF16 && !dtype_is_blocks(t))
            return false;
    }
    return true;
}

static bool alike(const struct work *w, const struct tensor *a, const struct tensor *b)
{
    return input_of(w, a) == input_of(w, b);
}

/* What reads the same activations must take them in the same form. */
static bool check_inputs(const struct engine *g, struct err *e)
{
    const struct weights *w = g->model->weights;
    const struct model_config *c = &g->model->config;
    for (int i = 0; i < c->audio.layers; i++) {
        const struct encoder_layer *l = &w->encoder[i];
        if (!alike(&g->work, &l->q.weight, &l->k.weight) || !alike(&g->work, &l->q.weight, &l->v.weight))
            return err_set(e, ERR_UNSUPPORTED, "encoder layer %d: q, k and v differ in their encoding", i);
    }
    for (int i = 0; i < c->text.layers; i++) {
        const struct decoder_layer *l = &w->decoder[i];
        if (!alike(&g->work, &l->q.weight, &l->k.weight) || !alike(&g->work, &l->q.weight, &l->v.weight) ||
            !alike(&g->work, &l->gate.weight, &l->up.weight))
            return err_set(e, ERR_UNSUPPORTED,
                           "layer %d: q, k and v, or gate and up differ in their encoding", i);
    }
    return true;
}

static bool take_thread_scratch(struct engine *g, struct err *e)
{
    const struct model_config *c = &g->model->config;
    int widest = (int)most(most((size_t)c->text.ffn, (size_t)c->text.hidden), (size_t)c->audio.ffn);
    size_t bytes = most(linear_scratch_bytes(widest), attention_scratch_bytes(c->text.head_dim, LANES));
    if (c->audio.width)
        bytes = most(bytes, attention_scratch_bytes(c->audio.head_dim, LANES));
    bytes = most(bytes, (size_t)widest * 2 * sizeof(float)); /* a norm's weight and bias */
    bytes = (bytes + 4095) / 4096 * 4096 + 4096;             /* threads a page apart */
    g->work.thread_scratch_bytes = bytes;
    if (!pages_alloc(&g->thread_scratch, bytes * (size_t)pool_threads(g->work.pool), e))
        return err_wrap(e, "scratch of %d threads", pool_threads(g->work.pool));
    g->work.thread_scratch = g->thread_scratch.data;
    return true;
}

static bool take_rows(struct engine *g, struct err *e)
{
    const struct text_config *t = &g->model->config.text;
    size_t n = (size_t)g->parallel, hidden = (size_t)t->hidden;
    size_t queries = (size_t)(t->heads * t->head_dim), keys = (size_t)(t->kv_heads * t->head_dim);
    struct {
        float **place;
        size_t values;
    } parts[] = {
        {&g->rows.x, hidden},
        {&g->rows.norm, hidden},
        {&g->rows.q, queries},
        {&g->rows.k, keys},
        {&g->rows.v, keys},
        {&g->rows.attention, queries},
        {&g->rows.gate, (size_t)t->ffn},
        {&g->rows.up, (size_t)t->ffn},
    };
    size_t input = dot_input_bytes((int)most(most((size_t)t->ffn, hidden), queries), g->parallel),
           total = input;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        total += parts[i].values * n * sizeof(float);
    if (!pages_alloc(&g->row_pages, total, e))
        return err_wrap(e, "activations of %d sessions", g->parallel);
    unsigned char *at = g->row_pages.data;
    g->rows.input = at;
    at += input;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        *parts[i].place = (float *)(void *)at;
        at += parts[i].values * n * sizeof(float);
    }
    /* the batch's logits, then each session's */
    if (!pages_alloc(&g->logit_pages, 2 * n * (size_t)t->vocab * sizeof(float), e))
        return err_wrap(e, "logits of %d sessions", g->parallel);
    g->batch_logits = g->logit_pages.data;
    return true;
}

static bool take_sessions(struct engine *g, struct err *e)
{
    const struct text_config *t = &g->model->config.text;
    size_t n = (size_t)g->parallel;
    g->sessions = calloc(n, sizeof *g->sessions);
    g->caches = calloc(n, sizeof(*g->caches));
    g->positions = calloc(n, sizeof *g->positions);
    if (!g->sessions || !g->caches || !g->positions)
        return err_set(e, ERR_MEMORY, "no memory for %d sessions", g->parallel);
    struct kv_shape shape = {g->kv, t->layers, t->kv_heads, t->head_dim};
    for (int i = 0; i < g->parallel; i++) {
        struct session *s = &g->sessions[i];
        s->engine = g;
        s->logits = g->batch_logits + (n + (size_t)i) * (size_t)t->vocab;
        if (!kv_cache_new(&s->cache, &shape, g->context, e))
            return err_wrap(e, "session %d of %d", i + 1, g->parallel);
    }
    return true;
}

static bool take_audio(struct engine *g, struct err *e)
{
    const struct audio_config *a = &g->model->config.audio;
    if (!a->width)
        return true;
    struct kv_shape shape = {g->work.bf16 ? KV_BF16 : KV_F32, 1, a->heads, a->head_dim};
    return kv_cache_new(&g->audio_cache, &shape, a->max_positions, e) || err_wrap(e, "audio encoder");
}

static bool choose(struct engine *g, const struct engine_options *o, struct err *e)
{
    const struct text_config *t = &g->model->config.text;
    g->work.k = kernels_pick(o->cpu);
    if (!g->work.k)
        return err_set(e, ERR_UNSUPPORTED, "cpu \"%s\": not one of ref, avx2, avx512, or this CPU lacks it",
                       o->cpu ? o->cpu : "");
    g->work.i8 = o->math == MATH_FAST;
    g->work.bf16 = o->math == MATH_FAST && g->work.k->multiplies_bf16 && fast_weights(g->model->weights);
    g->kv = o->kv != KV_AUTO ? o->kv : o->math == MATH_FAST ? KV_BF16 : KV_F32;
    g->parallel = o->parallel > 0 ? o->parallel : 1;
    g->context = o->context > 0 ? o->context : t->max_positions;
    if (g->context > t->max_positions)
        return err_set(e, ERR_USAGE, "context %d: the model was made for at most %d tokens", g->context,
                       t->max_positions);
    g->rope = (struct rope_table){.half = t->head_dim / 2, .theta = t->rope_theta};
    return check_inputs(g, e);
}

struct engine *engine_new(const struct model *m, struct pool *pool, const struct engine_options *o,
                          struct err *e)
{
    struct engine *g = calloc(1, sizeof *g);
    if (!g) {
        err_set(e, ERR_MEMORY, "no memory for an engine");
        return NULL;
    }
    g->model = m;
    g->work.pool = pool;
    if (!choose(g, o, e) || !take_thread_scratch(g, e) ||
        !buffers_new(&g->buffers, &m->config, g->work.bf16, e) || !take_rows(g, e) || !take_audio(g, e) ||
        !take_sessions(g, e)) {
        engine_free(g);
        return NULL;
    }
    g->encoder = (struct encoder){&g->work, &m->config, m->weights, &g->buffers, &g->audio_cache, &g->tap};
    g->decoder = (struct decoder){&g->work, &m->config, m->weights, &g->buffers, &g->rope, &g->tap};
    return g;
}

void engine_free(struct engine *g)
{
    if (!g)
        return;
    for (int i = 0; g->sessions && i < g->parallel; i++)
        kv_cache_free(&g->sessions[i].cache);
    free(g->sessions);
    free(g->caches);
    free(g->positions);
    kv_cache_free(&g->audio_cache);
    rope_table_free(&g->rope);
    buffers_free(&g->buffers);
    pages_free(&g->row_pages);
    pages_free(&g->logit_pages);
    pages_free(&g->thread_scratch);
    free(g);
}

const struct model_config *engine_config(const struct engine *g)
{
    return &g->model->config;
}

const char *engine_cpu(const struct engine *g)
{
    return g->work.k->name;
}

int engine_context(const struct engine *g)
{
    return g->context;
}

int engine_parallel(const struct engine *g)
{
    return g->parallel;
}

static int residual_room(const struct engine *g)
{
    return arrival_complete(g->model->arrival) ? PREFILL_CHUNK : least(ENGINE_PASS, g->context);
}

struct engine_memory engine_memory(const struct engine *g)
{
    return (struct engine_memory){
        .weight_bytes = weights_bytes(g->model->weights),
        .kv_bytes = g->sessions[0].cache.pages.size * (size_t)g->parallel,
        .scratch_bytes = g->buffers.pages.size + g->thread_scratch.size + g->row_pages.size +
                         g->logit_pages.size + g->audio_cache.pages.size +
                         residual_bytes(&g->model->config, residual_room(g)) * (size_t)g->parallel,
    };
}

void engine_tap(struct engine *g, const struct tap *tap)
{
    g->tap = *tap;
}

/* --- sessions ---------------------------------------------------------------------------------------------
 */

struct session *session_new(struct engine *g, struct err *e)
{
    for (int i = 0; i < g->parallel; i++) {
        if (!g->sessions[i].taken) {
            g->sessions[i].taken = true;
            return &g->sessions[i];
        }
    }
    err_set(e, ERR_BUSY, "all %d sessions are taken", g->parallel);
    return NULL;
}

static void forget_prompt(struct session *s)
{
    if (s->prompt)
        arrival_unask(s->engine->model->arrival, s->hears);
    pages_free(&s->residual);
    free(s->features);
    s->features = NULL;
    s->prompt = NULL;
}

void session_free(struct session *s)
{
    if (!s)
        return;
    forget_prompt(s);
    s->state = SESSION_EMPTY;
    s->length = 0;
    s->taken = false;
}

static bool check_clips(const struct session *s, const struct prompt *p, int *audio_tokens, struct err *e)
{
    const struct model_config *c = &s->engine->model->config;
    *audio_tokens = 0;
    if (p->clip_count && !c->audio.width)
        return err_set(e, ERR_USAGE, "this model takes no audio");
    for (int i = 0; i < p->clip_count; i++) {
        const struct mel *m = &p->clips[i];
        if (m->bins != c->audio.mel_bins || m->frames < 0 ||
            mel_conv_frames(m->frames) > c->audio.max_positions || m->stride < m->frames + 2)
            return err_set(e, ERR_USAGE, "audio %d: %d mel frames of %d bins, expected at most %d of %d",
                           i + 1, m->frames, m->bins, 2 * c->audio.max_positions, c->audio.mel_bins);
        *audio_tokens += mel_tokens(m->frames);
    }
    return true;
}

static bool check_ids(const struct session *s, const struct prompt *p, int audio_tokens, struct err *e)
{
    const struct model_config *c = &s->engine->model->config;
    int placeholders = 0;
    if (p->count < 1)
        return err_set(e, ERR_USAGE, "an empty prompt");
    if (p->count > s->engine->context)
        return err_set(e, ERR_LIMIT, "the prompt has %d tokens, the context %d", p->count,
                       s->engine->context);
    for (int i = 0; i < p->count; i++) {
        if (p->ids[i] < 0 || p->ids[i] >= c->text.vocab)
            return err_set(e, ERR_USAGE, "token %d of the prompt is %d, the vocabulary has %d", i, p->ids[i],
                           c->text.vocab);
        placeholders += p->ids[i] == c->audio_token_id;
    }
    if (placeholders != audio_tokens)
        return err_set(e, ERR_USAGE, "the prompt has %d audio placeholders, its clips make %d audio tokens",
                       placeholders, audio_tokens);
    return true;
}

/* What a step of a clip's encoder takes, in tokens of the decoder's layers: by their weights. */
static double clip_work(const struct session *s, const struct mel *m)
{
    const struct model_config *c = &s->engine->model->config;
    double encoder = (4.0 * c->audio.width + 2.0 * c->audio.ffn) * c->audio.width;
    double decoder = (4.0 * c->text.hidden + 3.0 * c->text.ffn) * c->text.hidden;
    return mel_conv_frames(m->frames) * encoder / decoder;
}

bool session_begin(struct session *s, const struct prompt *p, struct err *e)
{
    const struct model_config *c = &s->engine->model->config;
    int audio_tokens;
    if (s->state != SESSION_EMPTY)
        return err_set(e, ERR_USAGE, "this session has a prompt already");
    if (!check_clips(s, p, &audio_tokens, e) || !check_ids(s, p, audio_tokens, e))
        return false;
    s->room = residual_room(s->engine);
    if (!rope_table_reach(&s->engine->rope, p->count, e) ||
        !pages_alloc(&s->residual, residual_bytes(c, s->room), e))
        return false;
    s->features = malloc(((size_t)audio_tokens * (size_t)c->text.hidden + 1) * sizeof(float));
    if (!s->features) {
        forget_prompt(s);
        return err_set(e, ERR_MEMORY, "no memory for %d audio tokens", audio_tokens);
    }
    s->prompt = p;
    s->state = SESSION_PREFILLING;
    s->hears = p->clip_count > 0;
    s->clip = s->layer = s->length = s->at = s->features_ready = s->features_used = 0;
    s->work_done = 0;
    s->work = (double)p->count * c->text.layers;
    for (int i = 0; i < p->clip_count; i++)
        s->work += clip_work(s, &p->clips[i]) * encoder_steps(c);
    arrival_ask(s->engine->model->arrival, s->hears);
    arrival_want_rows(s->engine->model->arrival, p->ids, p->count, c->audio_token_id);
    return true;
}

static void encode_step(struct session *s)
{
    struct engine *g = s->engine;
    const struct mel *clip = &s->prompt->clips[s->clip];
    int tokens = mel_tokens(clip->frames), last = encoder_steps(&g->model->config) - 1;
    float *to = s->features + (size_t)s->features_ready * (size_t)g->model->config.text.hidden;
    if (is_silent(s))
        s->layer = last;
    else
        encoder_step(&g->encoder, clip, s->layer, s->residual.data, to);
    s->work_done += clip_work(s, clip);
    if (s->layer++ < last)
        return;
    s->features_ready += tokens;
    s->clip++;
    s->layer = 0;
}

/* How many tokens go through a layer before any goes on to the next: a chunk, so that little is kept; while
 * weights arrive as many as there is room for, since the next layer is not there. */
static int pass_size(const struct session *s, double budget_ms)
{
    int most = budget_ms < shared_budget_ms ? SHARED_CHUNK : PREFILL_CHUNK;
    if (!arrival_complete(s->engine->model->arrival))
        most = s->room;
    return least(s->prompt->count - s->length, most);
}

/* One chunk through one layer. */
static void decode_step(struct session *s, double budget_ms)
{
    struct engine *g = s->engine;
    const struct text_config *t = &g->model->config.text;
    if (begins_pass(s))
        s->pass = pass_size(s, budget_ms);
    int tokens = least(s->pass - s->at, PREFILL_CHUNK), first = s->length + s->at;
    float *x = (float *)s->residual.data + (size_t)s->at * (size_t)t->hidden; /* chunks are whole panels */
    if (s->layer == 0)
        s->features_used += decoder_embed(&g->decoder, s->prompt->ids + first, tokens,
                                          s->features + (size_t)s->features_used * (size_t)t->hidden, x);
    decoder_layer_panels(&g->decoder, &s->cache, s->layer, x, first, tokens);
    s->work_done += tokens;
    s->at += tokens;
    if (s->at < s->pass)
        return;
    s->at = 0;
    if (++s->layer < t->layers || s->length + s->pass == s->prompt->count)
        return;
    s->layer = 0;
    s->length += s->pass;
}

static void head_step(struct session *s)
{
    decoder_head_panels(&s->engine->decoder, s->residual.data, s->pass - 1, s->logits);
    s->length += s->pass;
    s->state = SESSION_READY;
    forget_prompt(s);
}

static void step(struct session *s, double budget_ms)
{
    struct arrival *a = s->engine->model->arrival;
    double begin = a ? clock_ms() : 0;
    int stage = next_stage(s);
    if (s->clip < s->prompt->clip_count)
        encode_step(s);
    else if (s->layer < s->engine->model->config.text.layers)
        decode_step(s, budget_ms);
    else
        head_step(s);
    if (a)
        arrival_computed(a, stage, begin, clock_ms());
}

bool session_prefill(struct session *s, double budget_ms, bool *done, struct err *e)
{
    if (s->state == SESSION_EMPTY)
        return err_set(e, ERR_USAGE, "this session has no prompt");
    double start = clock_ms();
    while (s->state == SESSION_PREFILLING) {
        if (!wait_for_weights(s, e))
            return false;
        step(s, budget_ms);
        if (clock_ms() - start >= budget_ms)
            break;
    }
    *done = s->state == SESSION_READY;
    return true;
}

double session_progress(const struct session *s)
{
    return s->state == SESSION_READY ? 1 : s->state == SESSION_EMPTY ? 0 : fmin(s->work_done / s->work, 1);
}

bool engine_decode(struct engine *g, struct session *const *sessions, const int *tokens, int n, struct err *e)
{
    size_t vocab = (size_t)g->model->config.text.vocab;
    if (n < 1 || n > g->parallel)
        return err_set(e, ERR_USAGE, "%d sessions at once, expected 1 to %d", n, g->parallel);
    for (int i = 0; i < n; i++) {
        if (sessions[i]->state != SESSION_READY)
            return err_set(e, ERR_USAGE, "session %d of the batch has no finished prompt", i);
        if (sessions[i]->length >= g->context)
            return err_set(e, ERR_LIMIT, "session %d of the batch has filled its context of %d tokens", i,
                           g->context);
        if (tokens[i] < 0 || (size_t)tokens[i] >= vocab)
            return err_set(e, ERR_USAGE, "token %d, the vocabulary has %zu", tokens[i], vocab);
        if (!rope_table_reach(&g->rope, sessions[i]->length + 1, e))
            return false;
        g->caches[i] = &sessions[i]->cache;
        g->positions[i] = sessions[i]->length;
    }
    if (!arrival_wait_rows(g->model->arrival, tokens, n, -1, e))
        return false;
    decoder_rows(&g->decoder, g->caches, tokens, g->positions, n, &g->rows, g->batch_logits);
    for (int i = 0; i < n; i++) {
        sessions[i]->length++;
        memcpy(sessions[i]->logits, g->batch_logits + (size_t)i * vocab, vocab * sizeof(float));
    }
    return true;
}

const float *session_logits(const struct session *s)
{
    return s->logits;
}

int session_length(const struct session *s)
{
    return s->length;
}

struct session *session_fork(struct session *s, struct err *e)
{
    if (s->state != SESSION_READY) {
        err_set(e, ERR_USAGE, "only a session whose prompt is through can be forked");
        return NULL;
    }
    struct session *f = session_new(s->engine, e);
    if (!f)
        return NULL;
    kv_cache_copy(&f->cache, &s->cache, s->length);
    memcpy(f->logits, s->logits, (size_t)s->engine->model->config.text.vocab * sizeof(float));
    f->length = s->length;
    f->state = SESSION_READY;
    return f;
}
