#include "cmd/service_client.h"

#include "base/catalog.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_JSON_BYTES = 1 << 20 };

bool service_is_url(const char *text)
{
    return strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0;
}

bool service_check_url(const char *url, struct err *e)
{
    const char *host = strstr(url, "://") + 3;
    if (memchr(host, '@', strcspn(host, "/?#")))
        return err_set(e, ERR_USAGE,
                       "the address contains a name or password; put the key in FERRY_API_KEY instead");
    return true;
}

/* Without what differs between the spellings of an address. */
static int bare_length(const char *base)
{
    size_t n = strlen(base);
    while (n && base[n - 1] == '/')
        n--;
    return (int)(n >= 3 && strncmp(base + n - 3, "/v1", 3) == 0 ? n - 3 : n);
}

char *service_endpoint(struct arena *a, const char *base, const char *path)
{
    return arena_printf(a, "%.*s/v1/%s", bare_length(base), base, path);
}

char *service_page(struct arena *a, const char *base, const char *path)
{
    return arena_printf(a, "%.*s/%s", bare_length(base), base, path);
}

static enum err_kind kind_of(int status)
{
    switch (status) {
    case 401:
    case 403:
        return ERR_AUTH;
    case 404:
        return ERR_NOT_FOUND;
    case 429:
    case 502:
    case 503:
        return ERR_BUSY;
    default:
        return ERR_UNSUPPORTED;
    }
}

/* An answer that is not 2xx as an err: OpenAI's message when there is one, else the start of the body. */
static bool refused(const struct http_reply *r, struct err *e)
{
    const char *message = NULL;
    json_t *body = json_loads(r->problem, 0, NULL);
    json_unpack(body, "{s:{s:s}}", "error", "message", &message);
    if (r->status >= 300 && r->status < 400)
        err_set(e, kind_of(r->status), "HTTP %d, moved to %s: ask that address", r->status, r->location);
    else if (message)
        err_set(e, kind_of(r->status), "HTTP %d: %s", r->status, message);
    else
        err_set(e, kind_of(r->status), "HTTP %d: %.200s", r->status,
                r->problem[0] ? r->problem : _("no reason given"));
    if (r->status == 401)
        err_wrap(e, "the service wants a key, set FERRY_API_KEY");
    if (r->retry_after_seconds)
        err_wrap(e, "try again in %d s", r->retry_after_seconds);
    json_decref(body);
    return false;
}

bool service_send(struct http *h, const struct http_request *q, struct http_reply *r, struct err *e)
{
    if (http_send(h, q, r, e))
        return r->status / 100 == 2 || refused(r, e);
    if (r->status == 0 && e && e->kind == ERR_TRANSIENT)
        err_wrap(e, "no answer from %s", q->url);
    return false;
}

json_t *service_fetch(struct http *h, const struct http_request *q, struct err *e)
{
    struct http_request get = *q;
    struct http_reply r;
    char *text = malloc(MAX_JSON_BYTES);
    json_t *json = NULL;

    get.method = "GET";
    get.into = text;
    get.into_room = MAX_JSON_BYTES;
    if (!text)
        err_set(e, ERR_MEMORY, "no memory for the service's answer");
    else if (service_send(h, &get, &r, e) && !(json = json_loadb(text, r.size, 0, NULL)))
        err_set(e, ERR_CORRUPT, "%s answers with something else than JSON; is this the address of a service?",
                q->url);
    free(text);
    return json;
}
