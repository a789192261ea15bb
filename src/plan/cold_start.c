#include "plan/cold_start.h"

#include "plan/cloud_run.h"

static const struct span container = {1, 2}, opening = {0.3, 1};

double cold_start_embedding_bytes(const struct encoded *n, int text_tokens)
{
    double bytes = (double)n->embedding, ranges = bytes / PLAN_RANGE_BYTES;
    if (ranges <= 1)
        return bytes;
    return bytes * (1 - pow(1 - 1 / ranges, text_tokens));
}

double cold_start_needed_fetch(uint64_t file_bytes)
{
    return (double)file_bytes / RUN_PROBE_SECONDS;
}

/* One end of every span: how far the bytes and the computing are. */
struct run {
    double fetch, compute;   /* a second */
    double arrived, through; /* seconds */
};

static void pass(struct run *r, double bytes, double operations)
{
    r->arrived += bytes / r->fetch;
    r->through = fmax(r->through, r->arrived) + operations / r->compute;
}

static void pass_layers(struct run *r, int layers, double bytes, double operations)
{
    for (int i = 0; i < layers; i++)
        pass(r, bytes / layers, operations / layers);
}

/* A model asked in writing needs its tower last, which is then not in the way. */
static void pass_audio(struct run *run, const struct model_config *c, const struct encoded *n,
                       double audio_seconds)
{
    if (audio_seconds <= 0)
        return;
    pass(run, (double)n->front, 0);
    pass_layers(run, c->audio.layers, (double)n->encoder, plan_encoder_operations(c, audio_seconds));
    pass(run, (double)n->projector, 0);
}

static double first_token(const struct model_config *c, const struct encoded *n, const struct plan_request *r,
                          double begin, double fetch, double compute)
{
    struct run run = {fetch, compute, begin, begin};
    int layers = c->text.layers, tokens = plan_prompt_tokens(c, r);
    double rows = cold_start_embedding_bytes(n, r->text_tokens);
    pass(&run, rows, 0);
    pass_audio(&run, c, n, r->audio_seconds);
    pass_layers(&run, layers, (double)n->decoder, layers * plan_layer_operations(c, tokens));
    pass(&run, (double)n->head - (n->tied ? rows : 0), plan_head_operations(c));
    return run.through;
}

static struct cold_start begin(uint64_t file_bytes, const struct plan_speed *s)
{
    struct cold_start t = {.container = container, .opening = opening};
    t.first_weights = span_add(container, opening);
    t.loaded = span_add(t.first_weights, span_divides((double)file_bytes, s->fetch));
    return t;
}

struct cold_start cold_start(const struct model_config *c, const struct encoded *n, enum plan_kv kv,
                             const struct plan_request *r, const struct plan_speed *s)
{
    struct cold_start t = begin(n->file_bytes, s);
    struct plan_answer a = plan_answer(c, n, kv, r, s);
    struct span from = t.first_weights;
    t.first_token = (struct span){first_token(c, n, r, from.least, s->fetch.most, s->compute.most),
                                  first_token(c, n, r, from.most, s->fetch.least, s->compute.least)};
    t.answered = span_add(t.first_token, span_times(a.token, r->answer_tokens));
    t.load_first = span_add(t.loaded, span_add(a.encode, a.prefill));
    return t;
}

struct cold_start cold_start_pull(uint64_t file_bytes, const struct plan_speed *s)
{
    struct cold_start t = begin(file_bytes, s);
    t.first_token = t.answered = t.load_first = span_unknown();
    return t;
}
