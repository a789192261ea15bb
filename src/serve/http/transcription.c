/* POST /v1/audio/transcriptions: one generation per window of audio, one after another. */
#include "serve/http/answer.h"
#include "serve/http/state.h"
#include "serve/parse/transcription_form.h"
#include "serve/prepare.h"

#include <stdlib.h>
#include <string.h>

enum { ARENA_BYTES = 256 << 20, TEXT_BYTES = 16 << 20 };

/* A window may be written down in as many tokens as it has audio tokens (25 a second, several times the pace
 * of speech) and some: a model that goes on has lost itself in a loop. */
enum { EXTRA_TOKENS = 64 };

/* One window of the audio and what was heard in it. */
struct segment {
    struct chat chat;
    struct bytes text;
    double logprob_sum;
    json_t *tokens; /* array of ids */
    bool cut;       /* it went on beyond EXTRA_TOKENS */
};

struct transcription {
    struct call *call; /* a reference */
    struct loaded_model *model;
    struct arena *arena;
    struct transcription_request request;
    struct recording recording;
    struct segment *segments; /* [recording.clip_count] */
    int current;
    struct generation_spec spec;
    struct generation *generation;
    struct bytes text; /* all segments so far */
    json_t *logprobs;  /* array */
    int input_tokens, output_tokens;
    bool failed; /* memory for the text ran out */
    bool fed;    /* its stream is told how far the load is */
};

static void transcription_free(struct transcription *t)
{
    for (int i = 0; t->segments && i < t->recording.clip_count; i++) {
        chat_clear(&t->segments[i].chat);
        bytes_clear(&t->segments[i].text);
        json_decref(t->segments[i].tokens);
    }
    free(t->segments);
    bytes_clear(&t->text);
    json_decref(t->logprobs);
    generation_free(t->generation);
    arena_free(t->arena);
    call_drop(t->call);
    free(t);
}

/* ---- JSON ---- */

static json_t *token_usage_json(const struct transcription *t)
{
    return json_pack("{s:s, s:i, s:{s:i, s:i}, s:i, s:i}", "type", "tokens", "input_tokens", t->input_tokens,
                     "input_token_details", "text_tokens", t->input_tokens - t->recording.tokens,
                     "audio_tokens", t->recording.tokens, "output_tokens", t->output_tokens, "total_tokens",
                     t->input_tokens + t->output_tokens);
}

static json_t *text_json(const struct bytes *b)
{
    return json_stringn(b->data ? b->data : "", b->size);
}

/* compression_ratio and no_speech_prob belong to Whisper's decoder; this model has neither, which null says.
 */
static json_t *segment_json(const struct transcription *t, int i)
{
    const struct mel_config *c = &t->model->model.config.mel;
    const struct segment *s = &t->segments[i];
    double window = (double)c->window_samples / c->sample_rate, end = (i + 1) * window;
    size_t count = json_array_size(s->tokens);
    return json_pack("{s:i, s:i, s:f, s:f, s:o, s:O, s:f, s:f, s:n, s:n}", "id", i, "seek",
                     i * c->window_frames, "start", i * window, "end",
                     end < t->recording.seconds ? end : t->recording.seconds, "text", text_json(&s->text),
                     "tokens", s->tokens, "temperature", (double)t->request.temperature, "avg_logprob",
                     count ? s->logprob_sum / (double)count : 0.0, "compression_ratio", "no_speech_prob");
}

static void add_warnings(const struct transcription *t, json_t *body)
{
    for (int i = 0; i < t->recording.clip_count; i++) {
        if (!t->segments[i].cut)
            continue;
        json_t *warnings = json_object_get(body, "warnings");
        if (!warnings && json_object_set_new(body, "warnings", warnings = json_array()) != 0)
            return;
        json_array_append_new(warnings,
                              json_sprintf("segment %d: the model did not come to an end and was cut", i));
    }
}

static json_t *verbose_json(const struct transcription *t)
{
    json_t *segments = json_array();
    for (int i = 0; i < t->recording.clip_count; i++)
        json_array_append_new(segments, segment_json(t, i));
    const char *language = *t->request.language ? t->request.language : NULL;
    return json_pack("{s:s, s:s?, s:f, s:o, s:o, s:{s:s, s:f}}", "task", "transcribe", "language", language,
                     "duration", t->recording.seconds, "text", text_json(&t->text), "segments", segments,
                     "usage", "type", "duration", "seconds", t->recording.seconds);
}

static json_t *plain_json(struct transcription *t)
{
    json_t *body = json_pack("{s:o, s:o}", "text", text_json(&t->text), "usage", token_usage_json(t));
    if (t->request.logprobs)
        json_object_set(body, "logprobs", t->logprobs);
    return body;
}

/* ---- events ---- */

static void send_delta(struct transcription *t, const char *text, size_t size, json_t *logprobs)
{
    json_t *event = json_pack("{s:s, s:s%}", "type", "transcript.text.delta", "delta", text, size);
    if (logprobs)
        json_object_set_new(event, "logprobs", logprobs);
    call_stream_event(t->call, event);
}

/* Windows are joined by a space, since nothing else tells where a word ends. */
static void add_text(struct transcription *t, const struct event *event)
{
    struct segment *s = &t->segments[t->current];
    bool joint = s->text.size == 0 && t->text.size > 0 && event->text_size > 0;
    if (joint && t->request.stream)
        send_delta(t, " ", 1, NULL);
    if ((joint && !bytes_add(&t->text, " ", 1, TEXT_BYTES)) ||
        !bytes_add(&t->text, event->text, event->text_size, TEXT_BYTES) ||
        !bytes_add(&s->text, event->text, event->text_size, TEXT_BYTES))
        t->failed = true;
    for (int i = 0; i < event->token_count; i++) {
        s->logprob_sum += (double)event->tokens[i].chosen.logprob;
        json_array_append_new(s->tokens, json_integer(event->tokens[i].chosen.id));
    }
    json_t *logprobs = t->request.logprobs ? token_reports_json(t->model->tokenizer, event) : NULL;
    if (logprobs && json_array_extend(t->logprobs, logprobs) != 0)
        t->failed = true;
    if (t->request.stream)
        send_delta(t, event->text, event->text_size, logprobs);
    else
        json_decref(logprobs);
}

static void stream_done(struct transcription *t, json_t *body)
{
    json_object_set_new(body, "type", json_string("transcript.text.done"));
    call_stream_event(t->call, body);
    call_stream_end(t->call, "");
}

static void finish(struct transcription *t)
{
    struct call *c = t->call;
    struct api_error e = {0};
    if (t->failed) {
        api_refuse(&e, ERR_MEMORY, "", "no memory left for the transcript");
        call_fail(c, &e);
    } else if (!t->request.stream && t->request.format == TRANSCRIPT_TEXT) {
        bytes_add(&t->text, "\n", 1, TEXT_BYTES + 1);
        call_reply(c, 200, "text/plain; charset=utf-8", t->text.data, t->text.size);
    } else {
        json_t *body = t->request.format == TRANSCRIPT_VERBOSE_JSON ? verbose_json(t) : plain_json(t);
        add_warnings(t, body);
        if (t->request.stream)
            stream_done(t, body);
        else
            call_reply_json(c, 200, body);
    }
}

static bool next_window(struct transcription *t, bool first, struct api_error *e);

/* Nothing more of the load goes into the stream. */
static void end_feed(struct transcription *t)
{
    if (t->fed)
        load_feed_remove(t->call->server->feed, t->call);
    t->fed = false;
}

static void on_last(struct transcription *t, const struct event *event)
{
    struct api_error e = {0};
    call_on_gone(t->call, NULL, NULL);
    call_note_stats(t->call, &event->stats);
    t->input_tokens += event->stats.prompt_tokens;
    t->output_tokens += event->stats.completion_tokens;
    generation_free(t->generation);
    t->generation = NULL;
    if (event->kind == EVENT_FAILED) {
        e.err = *event->err;
        call_fail(t->call, &e);
    } else if (++t->current == t->recording.clip_count) {
        finish(t);
    } else if (next_window(t, false, &e)) {
        return;
    } else {
        call_fail(t->call, &e);
    }
    transcription_free(t);
}

static void on_event(void *arg, const struct event *event)
{
    struct transcription *t = arg;
    if (event->kind != EVENT_STARTED)
        end_feed(t);
    if (event->kind == EVENT_STARTED && t->request.stream)
        call_stream_begin(t->call);
    else if (event->kind == EVENT_TEXT)
        add_text(t, event);
    else if (event->kind == EVENT_FINISH)
        t->segments[t->current].cut = event->finish == FINISH_LENGTH;
    else if (event->kind == EVENT_DONE || event->kind == EVENT_FAILED)
        on_last(t, event);
}

static void on_gone(void *arg)
{
    struct transcription *t = arg;
    scheduler_cancel(t->call->server->scheduler, t->generation);
}

/* ---- from form to windows ---- */

static bool next_window(struct transcription *t, bool first, struct api_error *e)
{
    struct scheduler *s = t->call->server->scheduler;
    t->spec.prompt = t->segments[t->current].chat.prompt;
    t->spec.max_tokens = t->segments[t->current].chat.audio_tokens + EXTRA_TOKENS;
    t->generation = generation_new(&t->spec, (struct sink){on_event, t}, &e->err);
    if (!t->generation)
        return false;
    call_on_gone(t->call, on_gone, t);
    t->fed = first && t->request.stream && !server_is_loaded(t->call->server);
    if (t->fed)
        load_feed_add(t->call->server->feed, t->call, FEED_COMMENTS);
    if (first ? scheduler_submit(s, t->generation, &e->err) : scheduler_continue(s, t->generation, &e->err))
        return true;
    end_feed(t);
    call_on_gone(t->call, NULL, NULL);
    return false;
}

/* The instruction that goes with each window, in the arena. */
static bool instruction(struct transcription *t, const char **text, size_t *size, struct api_error *e)
{
    const struct transcription_request *r = &t->request;
    int n = r->prompt ? (int)r->prompt_size : (int)strlen(TRANSCRIPTION_PROMPT);
    const char *words = r->prompt ? r->prompt : TRANSCRIPTION_PROMPT;
    if (r->prompt_size > TEXT_BYTES)
        return api_refuse(e, ERR_LIMIT, "prompt", "longer than %d bytes", TEXT_BYTES);
    *text = *r->language ? arena_printf(t->arena, "%.*s The language is %s.", n, words, r->language)
                         : arena_strndup(t->arena, words, (size_t)n);
    *size = *text ? strlen(*text) : 0;
    return *text || api_refuse(e, ERR_MEMORY, "", "no memory left for this request");
}

static bool render(struct transcription *t, struct api_error *e)
{
    struct chat_part parts[2] = {{.clip_count = 1}, {0}};
    struct chat_message message = {.role = "user", .parts = parts, .part_count = 2};
    if (!instruction(t, &parts[1].text, &parts[1].text_size, e))
        return false;
    if (!(t->segments = calloc((size_t)t->recording.clip_count, sizeof *t->segments)))
        return api_refuse(e, ERR_MEMORY, "", "no memory left for this request");
    for (int i = 0; i < t->recording.clip_count; i++) {
        parts[0].clips = &t->recording.clips[i];
        struct chat *chat = &t->segments[i].chat;
        if (!(t->segments[i].tokens = json_array()))
            return api_refuse(e, ERR_MEMORY, "", "no memory left for this request");
        if (!chat_render(chat, t->model->tokenizer, &t->model->model.config, &message, 1, NULL, &e->err))
            return false;
        if (chat->prompt.count > engine_context(t->model->engine))
            return api_refuse(e, ERR_LIMIT, "prompt", "%d tokens with the audio, the context holds %d",
                              chat->prompt.count, engine_context(t->model->engine));
    }
    return true;
}

static bool parse(struct transcription *t, struct api_error *e)
{
    const struct call *c = t->call;
    struct multipart_part parts[MULTIPART_MAX_PARTS];
    struct form_value values[MULTIPART_MAX_PARTS];
    int count;
    if (!multipart_parse(c->body.data ? c->body.data : "", c->body.size, c->boundary, parts, &count, &e->err))
        return false;
    for (int i = 0; i < count; i++)
        values[i] = (struct form_value){parts[i].name, parts[i].data, parts[i].size};
    return transcription_request_read(&t->request, values, count, t->model->model.name, e);
}

static bool prepare(struct transcription *t, struct api_error *e)
{
    const struct transcription_request *r = &t->request;
    t->arena = arena_new(ARENA_BYTES);
    t->logprobs = json_array();
    if (!t->arena || !t->logprobs)
        return api_refuse(e, ERR_MEMORY, "", "no memory left for this request");
    if (!recording_read(&t->recording, t->model, r->file, r->file_size, LONG_AUDIO_SPLIT,
                        PREPARE_MAX_AUDIO_SECONDS, t->arena, e)) {
        strcpy(e->param, "file");
        return err_wrap(&e->err, "file");
    }
    return render(t, e);
}

static bool run(struct transcription *t, struct api_error *e)
{
    if (!parse(t, e) || !prepare(t, e))
        return false;
    call_forget_body(t->call);
    struct chat_request sampling;
    chat_request_init(&sampling, &t->model->model.config);
    sampling.sampling.temperature = t->request.temperature;
    sampling.sampling.repetition_penalty = 1;
    random_bytes(&sampling.sampling.seed, sizeof sampling.sampling.seed);
    t->spec = (struct generation_spec){.sampling = sampling.sampling,
                                       .choices = 1,
                                       .logprobs = t->request.logprobs ||
                                                   t->request.format == TRANSCRIPT_VERBOSE_JSON};
    return next_window(t, true, e);
}

void answer_transcription(struct call *c)
{
    struct api_error e = {0};
    struct transcription *t = calloc(1, sizeof *t);
    if (!t) {
        api_refuse(&e, ERR_MEMORY, "", "no memory left for this request");
        call_fail(c, &e);
        return;
    }
    call_hold(c);
    t->call = c;
    t->model = atomic_load(&c->server->model);
    if (run(t, &e))
        return; /* the scheduler's thread goes on from here */
    call_fail(c, &e);
    transcription_free(t);
}
