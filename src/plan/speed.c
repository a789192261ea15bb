#include "plan/speed.h"

static const struct span vcpu_memory = {2.5e9, 12e9}, vcpu_compute = {36e9, 227e9};
static const struct span assumed_fetch = {100e6, 1000e6};
static const double reading = 0.9;

struct plan_speed plan_speed_assumed(int vcpu)
{
    return (struct plan_speed){span_times(vcpu_memory, vcpu), span_times(vcpu_compute, vcpu), assumed_fetch};
}

/* --- tokens ----------------------------------------------------------------------------------------------
 */

/* A recording longer than one window is several clips; each loses less than a token. */
int plan_audio_tokens(const struct model_config *c, double audio_seconds)
{
    if (!c->audio.width || audio_seconds <= 0)
        return 0;
    double frames = ceil(audio_seconds * c->mel.sample_rate / c->mel.hop);
    return (int)(frames / 4);
}

int plan_prompt_tokens(const struct model_config *c, const struct plan_request *r)
{
    return r->text_tokens + plan_audio_tokens(c, r->audio_seconds);
}

/* --- operations ------------------------------------------------------------------------------------------
 */

static double window_operations(const struct model_config *c, double mel_frames)
{
    const struct audio_config *a = &c->audio;
    double width = a->width, frames = mel_frames / 2, tokens = mel_frames / 4;
    double conv = 2 * 3 * width * (mel_frames * a->mel_bins + frames * width);
    double layer = 2 * frames * width * (4 * width + 2.0 * a->ffn) + 4 * frames * frames * width;
    return conv + a->layers * layer + 2 * tokens * width * c->text.hidden;
}

double plan_encoder_operations(const struct model_config *c, double audio_seconds)
{
    if (!c->audio.width || audio_seconds <= 0)
        return 0;
    double frames = audio_seconds * c->mel.sample_rate / c->mel.hop, window = c->mel.window_frames;
    double whole = floor(frames / window);
    return whole * window_operations(c, window) + window_operations(c, frames - whole * window);
}

double plan_layer_operations(const struct model_config *c, int tokens)
{
    const struct text_config *t = &c->text;
    double hidden = t->hidden, queries = (double)t->heads * t->head_dim;
    double keys = (double)t->kv_heads * t->head_dim;
    double matrices = hidden * (2 * queries + 2 * keys + 3.0 * t->ffn);
    double seen = 0.5 * tokens * (tokens + 1.0); /* keys that all queries see */
    return 2 * matrices * tokens + 4 * queries * seen;
}

double plan_head_operations(const struct model_config *c)
{
    return 2.0 * c->text.hidden * c->text.vocab;
}

double plan_prefill_operations(const struct model_config *c, int tokens)
{
    return c->text.layers * plan_layer_operations(c, tokens) + plan_head_operations(c);
}

/* --- seconds ---------------------------------------------------------------------------------------------
 */

struct span plan_token_seconds(const struct model_config *c, const struct encoded *n, enum plan_kv kv,
                               int length, int parallel, const struct plan_speed *s)
{
    const struct text_config *t = &c->text;
    double cache = (double)plan_kv_token_bytes(t->layers, t->kv_heads, t->head_dim, kv) * length;
    double bytes = (double)encoded_token_bytes(n) + cache * parallel;
    return span_divides(bytes / reading, s->memory);
}

struct plan_answer plan_answer(const struct model_config *c, const struct encoded *n, enum plan_kv kv,
                               const struct plan_request *r, const struct plan_speed *s)
{
    int prompt = plan_prompt_tokens(c, r);
    struct plan_answer a = {
        .encode = span_divides(plan_encoder_operations(c, r->audio_seconds), s->compute),
        .prefill = span_divides(plan_prefill_operations(c, prompt), s->compute),
        .token = plan_token_seconds(c, n, kv, prompt + r->answer_tokens / 2, 1, s),
    };
    a.total = span_add(span_add(a.encode, a.prefill), span_times(a.token, r->answer_tokens));
    return a;
}
