/* ask_url.c: the question to a service that speaks OpenAI's chat API, Ferry's or another's. */
#include "cmd/ask.h"
#include "net/http.h"
#include "net/sse.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_EVENT_BYTES = 1 << 20, MAX_MODELS_BYTES = 1 << 20 };

struct reading {
    struct answer *out;
    struct sse *sse;
    bool done; /* [DONE] was there */
};

static bool take_choice(struct answer *a, json_t *choice, struct err *e)
{
    const char *text = NULL, *finish = NULL;
    size_t size = 0;

    json_unpack(choice, "{s:{s:s%}}", "delta", "content", &text, &size);
    json_unpack(choice, "{s:s}", "finish_reason", &finish);
    if (text && !answer_text(a, text, size, e))
        return false;
    if (finish)
        snprintf(a->finish, sizeof a->finish, "%s", finish);
    return true;
}

/* What a chunk says beside text: usage, Ferry's warnings, or an error in the middle of the stream. */
static bool take_rest(struct answer *a, json_t *chunk, struct err *e)
{
    const char *model = NULL, *problem = NULL;
    json_t *warnings = NULL, *warning;
    size_t i;

    json_unpack(chunk, "{s:s}", "model", &model);
    json_unpack(chunk, "{s:{s:i, s:i, s?{s?i}}}", "usage", "prompt_tokens", &a->prompt_tokens,
                "completion_tokens", &a->completion_tokens, "prompt_tokens_details", "audio_tokens",
                &a->audio_tokens);
    json_unpack(chunk, "{s:o}", "warnings", &warnings);
    if (model)
        snprintf(a->model, sizeof a->model, "%s", model);
    json_array_foreach(warnings, i, warning)
    {
        answer_warning(a, json_string_value(warning) ? json_string_value(warning) : "");
    }
    if (json_object_get(chunk, "error") == NULL)
        return true;
    json_unpack(chunk, "{s:{s:s}}", "error", "message", &problem);
    return err_set(e, ERR_TRANSIENT, "the service broke off: %s", problem ? problem : "it did not say why");
}

static bool take_event(void *arg, const struct sse_event *event, struct err *e)
{
    struct reading *r = arg;
    json_error_t bad;

    if (strcmp(event->data, "[DONE]") == 0) {
        r->done = true;
        return true;
    }
    json_t *chunk = json_loadb(event->data, event->size, 0, &bad);
    if (!chunk)
        return err_set(e, ERR_CORRUPT, "the service sent an event that is not JSON: %s", bad.text);
    json_t *choices = json_object_get(chunk, "choices");
    bool ok = take_rest(r->out, chunk, e);
    for (size_t i = 0; ok && i < json_array_size(choices); i++)
        ok = take_choice(r->out, json_array_get(choices, i), e);
    json_decref(chunk);
    return ok;
}

static bool take_bytes(void *arg, const char *bytes, size_t size, struct err *e)
{
    struct reading *r = arg;
    return sse_push(r->sse, bytes, size, e);
}

/* An answer that is not 2xx as an err: OpenAI's message when there is one, else the start of the body. */
static bool refused(const struct http_reply *r, struct err *e)
{
    const char *message = NULL;
    json_t *body = json_loads(r->problem, 0, NULL);
    enum err_kind kind = r->status == 401 || r->status == 403                       ? ERR_AUTH
                         : r->status == 429 || r->status == 502 || r->status == 503 ? ERR_BUSY
                                                                                    : ERR_UNSUPPORTED;
    json_unpack(body, "{s:{s:s}}", "error", "message", &message);
    if (r->status >= 300 && r->status < 400)
        err_set(e, kind, "HTTP %d, moved to %s: ask that address", r->status, r->location);
    else if (message)
        err_set(e, kind, "HTTP %d: %s", r->status, message);
    else
        err_set(e, kind, "HTTP %d: %.200s", r->status, r->problem[0] ? r->problem : "no reason given");
    if (r->status == 401)
        err_wrap(e, "the service wants a key, set FERRY_API_KEY");
    if (r->retry_after_seconds)
        err_wrap(e, "try again in %d s", r->retry_after_seconds);
    json_decref(body);
    return false;
}

/* True when the answer is a 2xx. */
static bool send_request(struct http *h, const struct http_request *q, struct http_reply *r, struct err *e)
{
    if (http_send(h, q, r, e))
        return r->status / 100 == 2 || refused(r, e);
    if (r->status == 0 && e && e->kind == ERR_TRANSIENT)
        err_wrap(e, "no answer from %s", q->url);
    return false;
}

static bool collect(void *arg, const char *bytes, size_t size, struct err *e)
{
    FILE *f = arg;
    if (ftell(f) + (long)size > MAX_MODELS_BYTES || fwrite(bytes, 1, size, f) != size)
        return err_set(e, ERR_LIMIT, "the list of models is over %d bytes", MAX_MODELS_BYTES);
    return true;
}

/* base + path: base without a trailing slash or /v1, so that every spelling of a service's address works. */
static char *endpoint(struct arena *a, const char *base, const char *path)
{
    size_t n = strlen(base);
    while (n && base[n - 1] == '/')
        n--;
    if (n >= 3 && strncmp(base + n - 3, "/v1", 3) == 0)
        n -= 3;
    return arena_printf(a, "%.*s/v1/%s", (int)n, base, path);
}

/* The first model that the service lists. NULL with *e set. */
static char *first_model(struct http *h, struct http_request q, struct arena *a, const char *base,
                         struct err *e)
{
    struct http_reply r;
    char *text = NULL, *model = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    json_t *list = NULL;
    const char *id = NULL;

    q.method = "GET";
    q.url = endpoint(a, base, "models");
    q.on_data = collect;
    q.arg = f;
    if (!f || !q.url)
        err_set(e, ERR_MEMORY, "no memory for the list of models");
    else if (send_request(h, &q, &r, e)) {
        fflush(f);
        list = json_loadb(text, size, 0, NULL);
        if (json_unpack(list, "{s:[{s:s}]}", "data", "id", &id) == 0)
            model = arena_strndup(a, id, strlen(id));
        else
            err_set(e, ERR_CORRUPT, "%s lists no model; is this the address of an OpenAI-compatible service?",
                    q.url);
    }
    json_decref(list);
    if (f)
        fclose(f);
    free(text);
    return model;
}

/* Passwords in the address would end up in process lists and shell histories. */
static bool check_url(const char *url, struct err *e)
{
    const char *host = strstr(url, "://") + 3;
    if (memchr(host, '@', strcspn(host, "/?#")))
        return err_set(e, ERR_USAGE,
                       "the address contains a name or password; put the key in FERRY_API_KEY instead");
    return true;
}

static bool post(struct http *h, struct http_request q, struct answer *out, struct err *e)
{
    struct reading r = {.out = out};
    struct http_reply reply;

    r.sse = sse_new(MAX_EVENT_BYTES, take_event, &r, e);
    q.method = "POST";
    q.content_type = "application/json";
    q.accept = "text/event-stream";
    q.on_data = take_bytes;
    q.arg = &r;
    bool ok = r.sse && send_request(h, &q, &reply, e);
    if (ok && !r.done)
        ok = err_set(e, ERR_TRANSIENT, "the answer ended early; try again");
    sse_free(r.sse);
    return ok;
}

bool ask_url(const struct ask *q, struct arena *a, struct answer *out, struct err *e)
{
    struct http_request request = {.bearer = q->settings.api_key, .stop = q->stop};
    const char *model = q->settings.model;
    char *json = NULL;
    bool ok = false;
    struct http *h = check_url(q->target, e) ? http_new(e) : NULL;

    if (!h)
        return false;
    if (!model)
        model = first_model(h, request, a, q->target, e);
    json = model ? ask_json(q, model, e) : NULL;
    if (json) {
        request.url = endpoint(a, q->target, "chat/completions");
        request.body = json;
        request.body_size = strlen(json);
        ok = request.url ? post(h, request, out, e) : err_set(e, ERR_MEMORY, "no memory for the address");
    }
    free(json);
    http_free(h);
    return ok;
}
