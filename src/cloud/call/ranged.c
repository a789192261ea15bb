#include "cloud/call/ranged.h"

#include "net/content_range.h"

#include <stdlib.h>

static bool is_generation(const struct ranged *g, const struct http_reply *r, struct err *e)
{
    char text[40];
    if (g->generation <= 0 || !http_header(r, "x-goog-generation", text, sizeof text) ||
        strtoll(text, NULL, 10) == g->generation)
        return true;
    return err_set(e, ERR_BUSY, "it was replaced meanwhile: generation %.30s, expected %lld", text,
                   (long long)g->generation);
}

/* Whether the answer is what was asked for. */
static bool is_range(const struct ranged *g, const struct http_reply *r, struct err *e)
{
    char text[100];
    uint64_t begin, size, total;
    uint64_t asked = g->offset + g->got, missing = g->size - g->got;

    if (!is_generation(g, r, e))
        return false;
    if (r->status == 200)
        return err_set(e, ERR_TRANSIENT, "a range was asked for and the whole came (HTTP 200)");
    if (r->status != 206)
        return err_set(e, ERR_TRANSIENT, "a range was asked for and HTTP %d came", r->status);
    if (!http_header(r, "content-range", text, sizeof text))
        return err_set(e, ERR_TRANSIENT, "a range without its Content-Range");
    if (!content_range_parse(text, &begin, &size, &total) || begin != asked || size != missing)
        return err_set(e, ERR_TRANSIENT, "bytes %llu-%llu were asked for and \"%.60s\" came",
                       (unsigned long long)asked, (unsigned long long)(asked + missing - 1), text);
    return true;
}

/* The beginning of a body comes after the headers, which say whether it is what was asked for. */
static bool pass_on(void *arg, const char *bytes, size_t size, struct err *e)
{
    struct ranged *g = arg;
    if (g->came == 0 && !is_range(g, g->reply, e))
        return false;
    if (size > g->size - g->got - g->came)
        return err_set(e, ERR_TRANSIENT, "more bytes came than were asked for");
    g->refused = !g->take(g->arg, bytes, size, &g->why);
    if (g->refused)
        return err_set(e, ERR_CANCELLED, "not wanted");
    g->came += size;
    return true;
}

bool ranged_wanted(struct ranged *g, struct http_request *q, const struct http_reply *r)
{
    if (g->got == g->size)
        return false;
    q->range = (struct http_range){g->offset + g->got, g->size - g->got};
    q->into = g->into ? g->into + g->got : NULL;
    q->into_room = g->size - g->got;
    q->on_data = g->into ? NULL : pass_on;
    q->arg = g;
    g->reply = r;
    g->came = 0;
    return true;
}

bool ranged_take(struct ranged *g, bool sent, const struct http_reply *r, struct err *e)
{
    struct err wrong = {0};
    g->moved = false;
    if (g->refused) {
        if (e)
            *e = g->why;
        return false;
    }
    if (!sent && r->status / 100 != 2)
        return false;
    if (!is_range(g, r, &wrong)) {
        if (e && (sent || e->kind != ERR_CANCELLED))
            *e = wrong; /* an answer that is too long for its place shows as that, too */
        return false;
    }
    uint64_t missing = g->size - g->got, came = r->size < missing ? r->size : missing;
    came = g->into ? came : g->came;
    g->moved = came > 0;
    g->got += came;
    if (!sent || g->got == g->size)
        return sent;
    return err_set(e, ERR_TRANSIENT, "%llu of %llu bytes came", (unsigned long long)came,
                   (unsigned long long)missing);
}
