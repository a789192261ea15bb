/* ask_url.c: the question to a service that speaks OpenAI's chat API, Ferry's or another's. */
#include "base/catalog.h"
#include "cloud/identity.h"
#include "cmd/ask.h"
#include "cmd/service_client.h"
#include "net/http.h"
#include "net/sse.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_EVENT_BYTES = 1 << 20 };

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
    return err_set(e, ERR_TRANSIENT, "the service broke off: %s",
                   problem ? problem : _("it did not say why"));
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

char *ask_first_model(struct http *h, struct http_request q, struct arena *a, const char *base, struct err *e)
{
    const char *id = NULL;
    char *model = NULL;
    if (!(q.url = service_endpoint(a, base, "models"))) {
        err_set(e, ERR_MEMORY, "no memory for the address");
        return NULL;
    }
    json_t *list = service_fetch(h, &q, e);
    if (list && json_unpack(list, "{s:[{s:s}]}", "data", "id", &id) != 0)
        err_set(e, ERR_CORRUPT, "%s lists no model; is this the address of an OpenAI-compatible service?",
                q.url);
    else if (list && !(model = arena_strndup(a, id, strlen(id))))
        err_set(e, ERR_MEMORY, "no memory for the model's name");
    json_decref(list);
    return model;
}

bool ask_send(struct http *h, const struct http_request *q, const char *json, struct answer *out,
              struct err *e)
{
    struct http_request post = *q;
    struct reading r = {.out = out};
    struct http_reply reply;

    r.sse = sse_new(MAX_EVENT_BYTES, take_event, &r, e);
    post.method = "POST";
    post.content_type = "application/json";
    post.accept = "text/event-stream";
    post.body = json;
    post.body_size = strlen(json);
    post.on_data = take_bytes;
    post.arg = &r;
    bool ok = r.sse && service_send(h, &post, &reply, e);
    if (ok && !r.done)
        ok = err_set(e, ERR_TRANSIENT, "the answer ended early; try again");
    sse_free(r.sse);
    return ok;
}

bool ask_url(const struct ask *q, struct arena *a, struct answer *out, struct err *e)
{
    struct http_request request = {.bearer = q->settings.api_key, .stop = q->stop};
    const char *model = q->settings.model;
    if (q->identity)
        request.headers[0] = (struct http_header){IDENTITY_HEADER, q->identity};
    char *json = NULL;
    bool ok = false;
    struct http *h = service_check_url(q->target, e) ? http_new(e) : NULL;

    if (!h)
        return false;
    if (!model)
        model = ask_first_model(h, request, a, q->target, e);
    json = model ? ask_json(q, model, e) : NULL;
    if (json) {
        request.url = service_endpoint(a, q->target, "chat/completions");
        ok = request.url ? ask_send(h, &request, json, out, e)
                         : err_set(e, ERR_MEMORY, "no memory for the address");
    }
    free(json);
    http_free(h);
    return ok;
}
