#include "serve/prepare.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

/* Frames of one full window of the reference model are 1.5 MB; a context of 8192 tokens holds eleven. */
enum { ARENA_BYTES = 256 << 20 };

static bool no_room(struct api_error *e)
{
    return api_refuse(e, ERR_MEMORY, "", "no memory left for the audio of this request");
}

/* How many windows a recording fills. A rest that makes no token does not count, unless it is all there is.
 */
static int windows_of(size_t samples, const struct mel_config *c)
{
    size_t window = (size_t)c->window_samples, full = samples / window, rest = samples % window;
    int frames = (int)((rest + (size_t)c->hop - 1) / (size_t)c->hop);
    return (int)full + (rest > 0 && (full == 0 || mel_tokens(frames) > 0));
}

static bool compute_clips(struct recording *r, const struct loaded_model *m, const struct audio *audio,
                          struct arena *a, struct api_error *e)
{
    size_t window = (size_t)m->model.config.mel.window_samples;
    if (!(r->clips = arena_alloc(a, (size_t)r->clip_count, sizeof *r->clips)))
        return no_room(e);
    for (int i = 0; i < r->clip_count; i++) {
        size_t begin = (size_t)i * window, rest = audio->count - begin;
        if (!mel_compute(m->mel, audio->samples + begin, rest < window ? rest : window, a, &r->clips[i],
                         &e->err))
            return false;
        r->tokens += mel_tokens(r->clips[i].frames);
    }
    return true;
}

static bool choose_windows(struct recording *r, const struct loaded_model *m, enum long_audio when_long,
                           struct api_error *e)
{
    const struct mel_config *c = &m->model.config.mel;
    int window_seconds = c->window_samples / c->sample_rate;
    r->clip_count = r->window_count;
    if (r->window_count <= 1)
        return true;
    if (when_long == LONG_AUDIO_REFUSE)
        return api_refuse(e, ERR_LIMIT, "",
                          "%.1f s of audio, expected at most %d s (ferry.long_audio is refuse)", r->seconds,
                          window_seconds);
    if (when_long == LONG_AUDIO_TRUNCATE)
        r->clip_count = 1;
    return true;
}

bool recording_read(struct recording *r, const struct loaded_model *m, const void *bytes, size_t size,
                    enum long_audio when_long, double max_seconds, struct arena *a, struct api_error *e)
{
    *r = (struct recording){0};
    if (!m->mel)
        return api_refuse(e, ERR_UNSUPPORTED, "", "the model %s reads text only, it cannot hear audio",
                          m->model.name);
    const struct mel_config *c = &m->model.config.mel;
    struct audio audio = {0};
    if (!audio_decode(&audio, bytes, size, c->sample_rate, max_seconds, &e->err)) {
        if (e->err.kind == ERR_LIMIT)
            e->code = "audio_too_long";
        return false;
    }
    r->seconds = (double)audio.count / c->sample_rate;
    r->window_count = windows_of(audio.count, c);
    bool ok = choose_windows(r, m, when_long, e) && compute_clips(r, m, &audio, a, e);
    audio_clear(&audio);
    return ok;
}

static bool too_long(const struct loaded_model *m, int tokens, const char *of, struct api_error *e)
{
    e->code = "context_length_exceeded";
    return api_refuse(e, ERR_LIMIT, "messages",
                      "%d tokens of %s leave no room in the context of %d tokens; send less", tokens, of,
                      engine_context(m->engine));
}

static bool warn_truncated(struct prepared *p, const struct recording *r, const struct mel_config *c,
                           const char *where, struct api_error *e)
{
    const char *w = arena_printf(p->arena, "%s: only the first %d s of %.1f s of audio were used", where,
                                 c->window_samples / c->sample_rate, r->seconds);
    if (!w)
        return no_room(e);
    p->warnings[p->warning_count++] = w;
    return true;
}

/* More of it cannot fit into the context, so it need not be decoded to its end. */
static double useful_seconds(const struct loaded_model *m, enum long_audio when_long)
{
    const struct mel_config *c = &m->model.config.mel;
    double window = (double)c->window_samples / c->sample_rate;
    double fits = engine_context(m->engine) * window / mel_tokens(c->window_frames);
    return when_long == LONG_AUDIO_TRUNCATE || fits > PREPARE_MAX_AUDIO_SECONDS ? PREPARE_MAX_AUDIO_SECONDS
                                                                                : fits;
}

/* One audio part of the request into one of the chat. */
static bool prepare_audio(struct prepared *p, const struct loaded_model *m, const struct request_part *from,
                          enum long_audio when_long, const char *where, struct chat_part *to,
                          struct api_error *e)
{
    struct recording *r = &p->recordings[p->recording_count];
    if (!recording_read(r, m, from->audio, from->audio_size, when_long, useful_seconds(m, when_long),
                        p->arena, e)) {
        snprintf(e->param, sizeof e->param, "%s", where);
        return err_wrap(&e->err, "%s", where);
    }
    p->recording_count++;
    p->audio_tokens += r->tokens;
    if (p->audio_tokens >= engine_context(m->engine))
        return too_long(m, p->audio_tokens, "audio", e);
    *to = (struct chat_part){.clips = r->clips, .clip_count = r->clip_count};
    return r->clip_count == r->window_count || warn_truncated(p, r, &m->model.config.mel, where, e);
}

static bool prepare_message(struct prepared *p, const struct loaded_model *m, const struct chat_request *r,
                            int index, struct chat_message *to, struct api_error *e)
{
    const struct request_message *from = &r->messages[index];
    struct chat_part *parts = arena_alloc(p->arena, (size_t)from->part_count, sizeof *parts);
    if (!parts)
        return no_room(e);
    *to = (struct chat_message){.role = from->role, .parts = parts, .part_count = from->part_count};
    for (int i = 0; i < from->part_count; i++) {
        char where[64];
        snprintf(where, sizeof where, "messages[%d].content[%d]", index, i);
        parts[i] = (struct chat_part){.text = from->parts[i].text, .text_size = from->parts[i].text_size};
        if (!from->parts[i].text && !prepare_audio(p, m, &from->parts[i], r->long_audio, where, &parts[i], e))
            return false;
    }
    return true;
}

static int count_audio(const struct chat_request *r)
{
    int n = 0;
    for (int i = 0; i < r->message_count; i++) {
        for (int k = 0; k < r->messages[i].part_count; k++)
            n += r->messages[i].parts[k].text == NULL;
    }
    return n;
}

bool prepare_chat(struct prepared *p, const struct loaded_model *m, const struct chat_request *r,
                  struct api_error *e)
{
    size_t audio = (size_t)count_audio(r);
    *p = (struct prepared){.arena = arena_new(ARENA_BYTES)};
    if (!p->arena)
        return no_room(e);
    struct chat_message *messages = arena_alloc(p->arena, (size_t)r->message_count, sizeof *messages);
    p->recordings = arena_alloc(p->arena, audio, sizeof *p->recordings);
    p->warnings = arena_alloc(p->arena, audio, sizeof *p->warnings);
    if (!messages || !p->recordings || !p->warnings)
        return no_room(e);
    for (int i = 0; i < r->message_count; i++) {
        if (!prepare_message(p, m, r, i, &messages[i], e))
            return false;
    }
    if (!chat_render(&p->chat, m->tokenizer, &m->model.config, messages, r->message_count, r->system_prompt,
                     &e->err))
        return false;
    /* the last position's logits give the first token, which needs no position of its own until it is fed */
    return p->chat.prompt.count <= engine_context(m->engine) ||
           too_long(m, p->chat.prompt.count, "prompt", e);
}

bool prepare_config_fits(const struct loaded_model *m, const struct service_config *c, struct err *e)
{
    const struct chat_message question = {.role = "user"};
    struct chat chat = {0};
    int context = engine_context(m->engine), most = context - context / 4;
    if (!c->system_prompt)
        return true;
    if (!chat_render(&chat, m->tokenizer, &m->model.config, &question, 1, c->system_prompt, e))
        return err_wrap(e, "system_prompt");
    int tokens = chat.prompt.count;
    chat_clear(&chat);
    return tokens <= most ||
           err_set(e, ERR_LIMIT,
                   "system_prompt: %d tokens, expected at most %d of the %d that the context holds", tokens,
                   most, context);
}

void prepared_clear(struct prepared *p)
{
    chat_clear(&p->chat);
    arena_free(p->arena);
    *p = (struct prepared){0};
}

struct generation_spec prepared_spec(const struct prepared *p, const struct chat_request *r)
{
    struct generation_spec spec = {
        .prompt = p->chat.prompt,
        .sampling = r->sampling,
        .choices = r->choices,
        .max_tokens = r->max_tokens,
        .stops = r->stops,
        .stop_count = r->stop_count,
        .logprobs = r->logprobs,
        .top_logprobs = r->top_logprobs,
    };
    if (!r->has_seed && getrandom(&spec.sampling.seed, sizeof spec.sampling.seed, 0) < 0)
        spec.sampling.seed = (uint64_t)(uintptr_t)p; /* a kernel without randomness: any value will do */
    return spec;
}
