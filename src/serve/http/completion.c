/* POST /v1/chat/completions. */
#include "serve/http/answer.h"
#include "serve/http/state.h"
#include "serve/prepare.h"

#include <stdlib.h>
#include <time.h>

/* A parsed request holds its texts, its audio out of base64 and some words for each part: twice the body at
 * most. */
enum { ARENA_SLACK = 1 << 20, ANSWER_BYTES = 64 << 20 };

/* What one choice has so far, when the reply is not streamed. */
struct choice {
    struct bytes text;
    json_t *logprobs; /* array; NULL when not asked for */
    const char *finish;
};

struct completion {
    struct call *call; /* a reference */
    struct loaded_model *model;
    struct arena *arena;
    struct chat_request request;
    struct prepared prepared;
    struct generation_spec spec;
    struct generation *generation;
    struct choice *choices; /* [request.choices] */
    char id[48];
    json_int_t created;
    bool failed; /* memory for the answer ran out */
    bool fed;    /* its stream is told how far the load is */
};

static const char *const finish_names[] = {[FINISH_STOP] = "stop", [FINISH_LENGTH] = "length"};

static void completion_free(struct completion *o)
{
    for (int i = 0; o->choices && i < o->request.choices; i++) {
        bytes_clear(&o->choices[i].text);
        json_decref(o->choices[i].logprobs);
    }
    free(o->choices);
    generation_free(o->generation);
    prepared_clear(&o->prepared);
    arena_free(o->arena);
    call_drop(o->call);
    free(o);
}

/* ---- JSON ---- */

static json_t *envelope(const struct completion *o, const char *object, json_t *choices)
{
    return json_pack("{s:s, s:s, s:I, s:s, s:s, s:o}", "id", o->id, "object", object, "created", o->created,
                     "model", o->model->model.name, "system_fingerprint", o->call->server->fingerprint,
                     "choices", choices);
}

static json_t *usage_json(const struct completion *o, const struct generation_stats *s)
{
    return json_pack("{s:i, s:i, s:i, s:{s:i, s:i}, s:{s:i, s:i}}", "prompt_tokens", s->prompt_tokens,
                     "completion_tokens", s->completion_tokens, "total_tokens",
                     s->prompt_tokens + s->completion_tokens, "prompt_tokens_details", "audio_tokens",
                     o->prepared.audio_tokens, "cached_tokens", 0, "completion_tokens_details",
                     "reasoning_tokens", 0, "audio_tokens", 0);
}

/* What became of the audio. */
static void add_report(const struct completion *o, json_t *body)
{
    const struct prepared *p = &o->prepared;
    if (p->recording_count == 0)
        return;
    json_t *audio = json_array(), *warnings = json_array();
    for (int i = 0; i < p->recording_count; i++)
        json_array_append_new(audio, json_pack("{s:f, s:i}", "seconds", p->recordings[i].seconds, "windows",
                                               p->recordings[i].clip_count));
    for (int i = 0; i < p->warning_count; i++)
        json_array_append_new(warnings, json_string(p->warnings[i]));
    json_object_set_new(body, "ferry", json_pack("{s:o}", "audio", audio));
    if (p->warning_count)
        json_object_set_new(body, "warnings", warnings);
    else
        json_decref(warnings);
}

static json_t *logprobs_json(json_t *content)
{
    return content ? json_pack("{s:o, s:n}", "content", content, "refusal") : json_null();
}

/* ---- streamed ---- */

static void send_chunk(struct completion *o, int choice, json_t *delta, json_t *logprobs, const char *finish,
                       bool first)
{
    json_t *chunk = envelope(o, "chat.completion.chunk",
                             json_pack("[{s:i, s:o, s:o, s:s?}]", "index", choice, "delta", delta, "logprobs",
                                       logprobs_json(logprobs), "finish_reason", finish));
    if (o->request.include_usage)
        json_object_set_new(chunk, "usage", json_null());
    if (first)
        add_report(o, chunk);
    call_stream_event(o->call, chunk);
}

static void stream_started(struct completion *o)
{
    call_stream_begin(o->call);
    for (int i = 0; i < o->request.choices; i++)
        send_chunk(o, i, json_pack("{s:s, s:s, s:n}", "role", "assistant", "content", "", "refusal"), NULL,
                   NULL, i == 0);
}

static void stream_done(struct completion *o, const struct generation_stats *s)
{
    if (o->request.include_usage) {
        json_t *chunk = envelope(o, "chat.completion.chunk", json_array());
        json_object_set_new(chunk, "usage", usage_json(o, s));
        call_stream_event(o->call, chunk);
    }
    call_stream_end(o->call, "data: [DONE]\n\n");
}

static void stream_event(struct completion *o, const struct event *event)
{
    json_t *delta, *logprobs = NULL;
    switch (event->kind) {
    case EVENT_STARTED:
        stream_started(o);
        break;
    case EVENT_TEXT:
        if (o->request.logprobs)
            logprobs = token_reports_json(o->model->tokenizer, event);
        delta = json_pack("{s:s%}", "content", event->text, event->text_size);
        send_chunk(o, event->choice, delta, logprobs, NULL, false);
        break;
    case EVENT_FINISH:
        send_chunk(o, event->choice, json_object(), NULL, finish_names[event->finish], false);
        break;
    case EVENT_DONE:
        stream_done(o, &event->stats);
        break;
    case EVENT_FAILED:
        break;
    }
}

/* ---- in one piece ---- */

static void collect_text(struct completion *o, const struct event *event)
{
    struct choice *c = &o->choices[event->choice];
    if (!bytes_add(&c->text, event->text, event->text_size, ANSWER_BYTES))
        o->failed = true;
    if (!o->request.logprobs)
        return;
    json_t *more = token_reports_json(o->model->tokenizer, event);
    if (!c->logprobs)
        c->logprobs = json_array();
    if (json_array_extend(c->logprobs, more) != 0)
        o->failed = true;
    json_decref(more);
}

static json_t *choice_json(struct completion *o, int index)
{
    struct choice *c = &o->choices[index];
    json_t *logprobs = c->logprobs;
    c->logprobs = NULL;
    if (!logprobs && o->request.logprobs)
        logprobs = json_array();
    return json_pack("{s:i, s:{s:s, s:s%, s:n}, s:o, s:s}", "index", index, "message", "role", "assistant",
                     "content", c->text.data ? c->text.data : "", c->text.size, "refusal", "logprobs",
                     logprobs_json(logprobs), "finish_reason", c->finish);
}

static void reply_whole(struct completion *o, const struct generation_stats *s)
{
    json_t *choices = json_array();
    for (int i = 0; i < o->request.choices; i++)
        json_array_append_new(choices, choice_json(o, i));
    json_t *body = envelope(o, "chat.completion", choices);
    json_object_set_new(body, "usage", usage_json(o, s));
    add_report(o, body);
    if (!o->failed) {
        call_reply_json(o->call, 200, body);
        return;
    }
    json_decref(body);
    struct api_error e = {0};
    api_refuse(&e, ERR_MEMORY, "", "no memory left for the answer");
    call_fail(o->call, &e);
}

static void whole_event(struct completion *o, const struct event *event)
{
    if (event->kind == EVENT_TEXT)
        collect_text(o, event);
    else if (event->kind == EVENT_FINISH)
        o->choices[event->choice].finish = finish_names[event->finish];
    else if (event->kind == EVENT_DONE)
        reply_whole(o, &event->stats);
}

/* ---- from request to events ---- */

/* Nothing more of the load goes into the stream. */
static void end_feed(struct completion *o)
{
    if (o->fed)
        load_feed_remove(o->call->server->feed, o->call);
    o->fed = false;
}

static void on_event(void *arg, const struct event *event)
{
    struct completion *o = arg;
    bool last = event->kind == EVENT_DONE || event->kind == EVENT_FAILED;
    if (event->kind != EVENT_STARTED)
        end_feed(o);
    if (last) {
        call_on_gone(o->call, NULL, NULL);
        call_note_stats(o->call, &event->stats);
    }
    if (event->kind == EVENT_FAILED)
        call_fail(o->call, &(struct api_error){.err = *event->err});
    else if (o->request.stream)
        stream_event(o, event);
    else
        whole_event(o, event);
    if (last)
        completion_free(o);
}

static void on_gone(void *arg)
{
    struct completion *o = arg;
    scheduler_cancel(o->call->server->scheduler, o->generation);
}

static bool parse(struct completion *o, struct api_error *e)
{
    struct call *c = o->call;
    struct request_rules rules = {.model = o->model->model.name,
                                  .vocab = o->model->model.config.text.vocab,
                                  .audio = o->model->mel != NULL};
    o->arena = arena_new(2 * c->body.size + ARENA_SLACK);
    if (!o->arena)
        return api_refuse(e, ERR_MEMORY, "", "no memory left for this request");
    chat_request_init(&o->request, &o->model->model.config);
    if (c->config)
        service_config_apply(&c->config->config, &o->request);
    bool ok =
        chat_request_parse(&o->request, o->arena, &rules, c->body.data ? c->body.data : "", c->body.size, e);
    call_forget_body(c);
    return ok;
}

static bool submit(struct completion *o, struct api_error *e)
{
    o->spec = prepared_spec(&o->prepared, &o->request);
    o->choices = calloc((size_t)o->request.choices, sizeof *o->choices);
    o->generation = generation_new(&o->spec, (struct sink){on_event, o}, &e->err);
    if (!o->choices || !o->generation)
        return api_refuse(e, ERR_MEMORY, "", "no memory left for this request");
    call_on_gone(o->call, on_gone, o);
    o->fed = o->request.stream && !server_is_loaded(o->call->server);
    if (o->fed)
        load_feed_add(o->call->server->feed, o->call, FEED_COMMENTS);
    if (scheduler_submit(o->call->server->scheduler, o->generation, &e->err))
        return true;
    end_feed(o);
    call_on_gone(o->call, NULL, NULL);
    return false;
}

void answer_chat(struct call *c)
{
    struct api_error e = {0};
    struct completion *o = calloc(1, sizeof *o);
    if (!o) {
        api_refuse(&e, ERR_MEMORY, "", "no memory left for this request");
        call_fail(c, &e);
        return;
    }
    call_hold(c);
    o->call = c;
    o->model = atomic_load(&c->server->model);
    o->created = (json_int_t)time(NULL);
    random_id(o->id, sizeof o->id, "chatcmpl-");
    if (parse(o, &e) && prepare_chat(&o->prepared, o->model, &o->request, &e) && submit(o, &e))
        return; /* the scheduler's thread goes on from here */
    call_fail(c, &e);
    completion_free(o);
}
