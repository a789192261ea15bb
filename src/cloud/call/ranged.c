#include "cloud/call/ranged.h"

#include "net/content_range.h"

bool ranged_wanted(const struct ranged *g, struct http_request *q)
{
    if (g->got == g->size)
        return false;
    q->range = (struct http_range){g->offset + g->got, g->size - g->got};
    q->into = g->into + g->got;
    q->into_room = g->size - g->got;
    return true;
}

/* Whether the answer is what was asked for. */
static bool is_range(const struct ranged *g, const struct http_reply *r, struct err *e)
{
    char text[100];
    uint64_t begin, size, total;
    uint64_t asked = g->offset + g->got, missing = g->size - g->got;

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

bool ranged_take(struct ranged *g, bool sent, const struct http_reply *r, struct err *e)
{
    struct err wrong = {0};
    g->moved = false;
    if (!sent && r->status / 100 != 2)
        return false;
    if (!is_range(g, r, &wrong)) {
        if (e && (sent || e->kind != ERR_CANCELLED))
            *e = wrong; /* an answer that is too long for its place shows as that, too */
        return false;
    }
    size_t missing = g->size - g->got, came = r->size < missing ? r->size : missing;
    g->moved = came > 0;
    g->got += came;
    if (!sent || g->got == g->size)
        return sent;
    return err_set(e, ERR_TRANSIENT, "%zu of %zu bytes came", came, missing);
}
