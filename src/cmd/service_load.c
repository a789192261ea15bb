#include "cmd/service_load.h"

#include "cmd/service_client.h"
#include "net/sse.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

enum { MAX_EVENT = 1 << 20 };

static bool take_state(enum service_load_state *state, const json_t *o)
{
    static const char *const names[] = {"starting", "loading", "loaded", "failed"};
    const char *name = json_string_value(json_object_get(o, "state"));
    for (int i = 0; name && i < 4; i++)
        if (strcmp(name, names[i]) == 0) {
            *state = (enum service_load_state)i;
            return true;
        }
    return false;
}

/* 0 and more; NAN for anything else. */
static double number(const json_t *o, const char *key)
{
    const json_t *value = json_object_get(o, key);
    double n = json_number_value(value);
    return json_is_number(value) && n >= 0 && n <= 1e18 ? n : NAN;
}

static double stage_ms(const json_t *load, const char *name, const char *key)
{
    const json_t *list = json_object_get(load, "stages"), *stage;
    for (size_t i = 0; (stage = json_array_get(list, i)); i++) {
        const char *is = json_string_value(json_object_get(stage, "name"));
        if (is && strcmp(is, name) == 0)
            return number(stage, key);
    }
    return NAN;
}

static void take_text(struct service_load *l, const json_t *load)
{
    const json_t *list = json_object_get(load, "stages"), *stage;
    l->text_bytes = l->text_total = 0;
    for (size_t i = 0; (stage = json_array_get(list, i)); i++) {
        const char *is = json_string_value(json_object_get(stage, "name"));
        double bytes = number(stage, "bytes"), total = number(stage, "total");
        if (!is || !(bytes <= total) || (strncmp(is, "decoder", 7) != 0 && strcmp(is, "head") != 0))
            continue;
        l->text_bytes += bytes;
        l->text_total += total;
    }
}

static bool take(struct service_load *l, const json_t *o)
{
    const json_t *phases = json_object_get(o, "phases");
    l->bytes = number(o, "bytes");
    l->total = number(o, "total");
    take_text(l, o);
    l->elapsed_ms = number(o, "elapsed_ms");
    l->headers_ms = number(phases, "start_ms") + number(phases, "files_ms") + number(phases, "headers_ms");
    l->layer_ms = stage_ms(o, "decoder layer 0", "arrived_ms");
    l->first_token_ms = stage_ms(o, "head", "done_ms");
    return take_state(&l->state, o) && l->bytes <= l->total && !isnan(l->elapsed_ms);
}

/* o: its reference is taken. */
static bool take_all(struct service_load *l, json_t *o, struct err *e)
{
    bool ok = take(l, o);
    json_decref(o);
    return ok ||
           err_set(e, ERR_CORRUPT, "/v1/load does not say how far its model is; is it a Ferry service?");
}

bool service_load_parse(const char *text, size_t size, struct service_load *out, struct err *e)
{
    return take_all(out, json_loadb(text, size, 0, NULL), e);
}

static bool take_event(void *arg, const struct sse_event *event, struct err *e)
{
    return service_load_parse(event->data, event->size, arg, e);
}

static bool take_bytes(void *arg, const char *bytes, size_t size, struct err *e)
{
    return sse_push(arg, bytes, size, e);
}

bool service_load_get(struct http *h, const struct http_request *q, struct arena *a, const char *base,
                      struct service_load *out, struct err *e)
{
    struct http_request get = *q;
    get.url = service_endpoint(a, base, "load");
    if (!get.url)
        return err_set(e, ERR_MEMORY, "no memory for the address");
    json_t *load = service_fetch(h, &get, e);
    return load && take_all(out, load, e);
}

bool service_load_wait(struct http *h, const struct http_request *q, struct arena *a, const char *base,
                       struct service_load *out, struct err *e)
{
    struct http_request get = *q;
    struct http_reply reply;
    *out = (struct service_load){.state = SERVICE_STARTING};
    struct sse *sse = sse_new(MAX_EVENT, take_event, out, e);
    get.method = "GET";
    get.url = service_endpoint(a, base, "load");
    get.accept = "text/event-stream";
    get.on_data = take_bytes;
    get.arg = sse;
    bool ok = sse && (get.url || err_set(e, ERR_MEMORY, "no memory for the address")) &&
              service_send(h, &get, &reply, e);
    sse_free(sse);
    return ok && (out->state == SERVICE_LOADED ||
                  err_set(e, ERR_TRANSIENT, "the service ended before its model was loaded"));
}
