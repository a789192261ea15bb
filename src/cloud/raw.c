#include "cloud/raw.h"

#include "base/utf8.h"
#include "cloud/call/call.h"
#include "cloud/token/mint.h"

#include <stdlib.h>
#include <string.h>

/* JSON strings are UTF-8; what an answer holds may be anything. */
static json_t *text_json(const char *bytes, size_t size)
{
    size_t n = size < RAW_TEXT_BYTES ? size : RAW_TEXT_BYTES;
    char *text = calloc(n + 1, 1);
    for (size_t i = 0; text && i < n;) {
        int length = utf8_length(bytes + i);
        if (length == 0 || i + (size_t)length > n) {
            text[i++] = '?';
            continue;
        }
        memcpy(text + i, bytes + i, (size_t)length);
        i += (size_t)length;
    }
    json_t *json = text ? json_string(text) : NULL;
    free(text);
    return json;
}

static void set_body(json_t *out, const char *bytes, size_t size)
{
    json_t *json = json_loadb(bytes, size, 0, NULL);
    if (json)
        json_object_set_new(out, "body", json);
    else if (size)
        json_object_set_new(out, "text", text_json(bytes, size));
}

static void set_answer(json_t *out, const struct http_reply *r, const struct body *b)
{
    char date[64];
    bool good = r->status / 100 == 2;
    json_object_set_new(out, "status", json_integer(r->status));
    if (http_header(r, "date", date, sizeof date))
        json_object_set_new(out, "skew_seconds", json_integer(clock_skew_seconds(r)));
    if (good)
        set_body(out, b->bytes ? b->bytes : "", b->size);
    else
        set_body(out, r->problem, strlen(r->problem));
}

static bool send(struct cloud *c, const struct raw_request *q, const char *text, struct body *b,
                 struct http_reply *r, struct err *e)
{
    char url[8192];
    int n = snprintf(url, sizeof url, "%s%s", cloud_endpoint(c, q->api), q->path);
    struct http_request request = {.method = q->method,
                                   .url = url,
                                   .content_type = text ? "application/json" : NULL,
                                   .body = text,
                                   .body_size = text ? strlen(text) : 0,
                                   .connect_seconds = 10,
                                   .stall_seconds = 20,
                                   .on_data = body_take,
                                   .arg = b};
    if (n >= (int)sizeof url)
        return err_set(e, ERR_LIMIT, "the names are too long");
    return cloud_call(c, &request, q->flags | CLOUD_IDEMPOTENT | CLOUD_ANY_STATUS, r, e);
}

json_t *cloud_raw(struct cloud *c, const struct raw_request *q)
{
    struct body b = {.ceiling = RAW_BYTES};
    struct http_reply r = {0};
    struct err e = {0};
    char *text = q->body ? json_dumps(q->body, JSON_COMPACT) : NULL;
    json_t *out = json_pack("{s:s++++}", "request", q->method, " ", q->api, " ", q->path);

    if (out && send(c, q, text, &b, &r, &e))
        set_answer(out, &r, &b);
    else if (out)
        json_object_set_new(out, "error", json_string(e.text));
    body_clear(&b);
    free(text);
    return out;
}

static void set_header(json_t *out, const struct http_reply *r, const char *header, const char *name)
{
    char value[300];
    if (http_header(r, header, value, sizeof value))
        json_object_set_new(out, name, text_json(value, strlen(value)));
}

json_t *hub_raw(struct hub *h, const char *path)
{
    struct body b = {.ceiling = RAW_BYTES};
    struct http_reply r = {0};
    struct err e = {0};
    const char *origin = NULL;
    json_t *out = json_pack("{s:s+}", "request", "GET hub ", path);

    if (out && hub_get(h, path, body_take, &b, &r, &origin, &e)) {
        set_answer(out, &r, &b);
        set_header(out, &r, "x-error-code", "code");
        set_header(out, &r, "x-error-message", "message");
    } else if (out) {
        json_object_set_new(out, "error", json_string(e.text));
    }
    if (out && origin)
        json_object_set_new(out, "token", json_string(origin));
    body_clear(&b);
    return out;
}
