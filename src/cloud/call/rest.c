#include "cloud/call/rest.h"

#include "cloud/call/call.h"
#include "net/url.h"

#include <stdlib.h>
#include <string.h>

enum { SCRATCH_BYTES = 64 << 10 };

/* Endpoint and path with the names in their places, in the arena. NULL with *e set. */
static char *make_url(struct cloud *c, const struct rest *q, struct arena *a, struct err *e)
{
    char *url = arena_printf(a, "%s", cloud_endpoint(c, q->api));
    const char *rest = q->path;
    for (int i = 0; url; i++) {
        const char *place = strstr(rest, "{}");
        if (!place)
            break;
        const char *name = i < REST_MAX_NAMES ? q->names[i] : NULL;
        if (!name || !*name) {
            err_set(e, ERR_USAGE, "a name is missing in %s", q->path);
            return NULL;
        }
        url = arena_printf(a, "%s%.*s%s", url, (int)(place - rest), rest, url_segment(a, name));
        rest = place + 2;
    }
    url = url ? arena_printf(a, "%s%s", url, rest) : NULL;
    if (!url)
        err_set(e, ERR_LIMIT, "the names are too long, or no memory is left");
    return url;
}

/* What a request that is only rehearsed is answered with: whatever it made is there, and done. */
static json_t *pretend(const struct rest *q, struct err *e)
{
    json_t *answer = json_pack("{s:b, s:s, s:o, s:s}", "done", 1, "status", "DONE", "response",
                               q->body ? json_deep_copy(q->body) : json_object(), "name", "rehearsed");
    if (!answer)
        err_set(e, ERR_MEMORY, "no memory for an answer");
    return answer;
}

static json_t *send(struct cloud *c, const struct rest *q, const char *url, const char *text, struct err *e)
{
    struct http_reply r;
    bool get = strcmp(q->method, "GET") == 0;
    struct http_request request = {.method = q->method,
                                   .url = url,
                                   .accept = "application/json",
                                   .content_type = text ? "application/json" : NULL,
                                   .body = text,
                                   .body_size = text ? strlen(text) : 0,
                                   .connect_seconds = q->connect_seconds,
                                   .stop = q->stop};
    return cloud_json_counted(c, &request, q->flags | (get ? CLOUD_IDEMPOTENT : 0), &r, q->tries, e);
}

static json_t *call_at(struct cloud *c, const struct rest *q, const char *url, struct err *e)
{
    bool changes = strcmp(q->method, "GET") != 0 && !q->reads;
    if (changes && cloud_rehearses(c)) {
        cloud_tell(c, q->method, url, q->body);
        return pretend(q, e);
    }
    char *text = q->body ? json_dumps(q->body, JSON_COMPACT) : NULL;
    json_t *json = NULL;
    if (q->body && !text)
        err_set(e, ERR_MEMORY, "no memory for a request");
    else
        json = send(c, q, url, text, e);
    if (text)
        explicit_bzero(text, strlen(text)); /* it may hold a key */
    free(text);
    return json;
}

json_t *rest_call(struct cloud *c, const struct rest *q, struct err *e)
{
    struct arena *a = arena_new(SCRATCH_BYTES);
    char *url = NULL;
    if (a)
        url = make_url(c, q, a, e);
    else
        err_set(e, ERR_MEMORY, "no memory for a request");
    json_t *json = url ? call_at(c, q, url, e) : NULL;
    arena_free(a);
    return json;
}

json_t *rest_delete(struct cloud *c, const struct rest *q, struct err *e)
{
    struct err problem = {0};
    json_t *json = rest_call(c, q, &problem);
    if (!json && problem.kind == ERR_NOT_FOUND)
        return json_pack("{s:b}", "done", 1);
    if (!json && e)
        *e = problem;
    return json;
}

/* --- lists --- */

/* The URL of the next page; *more false when there is none. NULL with *e set: no memory. Knative's lists name
 * it otherwise. */
static char *next_url(const char *first, const json_t *page, bool *more, struct arena *a, struct err *e)
{
    const char *token = json_string_value(json_object_get(page, "nextPageToken")), *name = "pageToken";
    if (!token) {
        token = json_string_value(json_object_get(json_object_get(page, "metadata"), "continue"));
        name = "continue";
    }
    *more = token && *token;
    char *encoded = *more ? url_query(a, token) : NULL;
    char *url =
        encoded ? arena_printf(a, "%s%c%s=%s", first, strchr(first, '?') ? '&' : '?', name, encoded) : NULL;
    if (*more && !url)
        err_set(e, ERR_LIMIT, "a listing of too many pages");
    return url;
}

/* A region that does not answer is left out of the list: that must not look as if nothing were there. */
static bool is_complete(const json_t *page, struct err *e)
{
    const char *region = json_string_value(json_array_get(json_object_get(page, "unreachable"), 0));
    return !region || err_set(e, ERR_TRANSIENT, "%s did not answer; try again in a minute", region);
}

bool rest_pages(struct cloud *c, const struct rest *q, rest_page_fn fn, void *arg, struct err *e)
{
    struct arena *a = arena_new(64 * SCRATCH_BYTES);
    bool more = true, ok = a || err_set(e, ERR_MEMORY, "no memory for a listing");
    char *first = ok ? make_url(c, q, a, e) : NULL, *url = first;

    for (ok = first != NULL; ok && more;) {
        json_t *page = call_at(c, q, url, e);
        ok = page && is_complete(page, e) && fn(arg, page, e);
        if (ok)
            url = next_url(first, page, &more, a, e);
        ok = ok && (url || !more);
        json_decref(page);
    }
    arena_free(a);
    return ok;
}

struct each {
    const char *items;
    rest_item_fn fn;
    void *arg;
};

static bool take_page(void *arg, const json_t *page, struct err *e)
{
    const struct each *each = arg;
    const json_t *list = json_object_get(page, each->items);
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!each->fn(each->arg, json_array_get(list, i), e))
            return false;
    return true;
}

bool rest_each(struct cloud *c, const struct rest *q, const char *items, rest_item_fn fn, void *arg,
               struct err *e)
{
    return rest_pages(c, q, take_page, &(struct each){items, fn, arg}, e);
}
