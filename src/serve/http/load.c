/* How far the load is, for those who ask and those who come too early. GET /v1/load. */
#include "serve/http/headers.h"
#include "serve/http/state.h"

bool server_is_loaded(const struct server *s)
{
    return atomic_load(&s->model) && arrival_complete(s->opt.arrival);
}

void refuse_loading(const struct server *s, struct api_error *e)
{
    struct arrival_progress p;
    char how_far[LOAD_COMMENT] = "loading";
    if (s->opt.arrival) {
        arrival_progress(s->opt.arrival, &p);
        load_comment(&p, how_far);
    }
    e->code = "model_loading";
    api_refuse(e, ERR_TRANSIENT, "", "the model is not loaded yet (%s); try again in a moment", how_far);
}

void refuse_stopping(const struct server *s, struct api_error *e)
{
    struct err why = {0};
    if (arrival_failed(s->opt.arrival, &why))
        api_refuse(e, ERR_TRANSIENT, "", "the model did not load: %.900s", why.text);
    else
        api_refuse(e, ERR_CANCELLED, "", "the service is stopping; ask again, another instance will answer");
}

/* Without anybody who tells of it a load is there or not. */
static json_t *bare_json(const struct server *s)
{
    return json_pack("{s:s, s:s}", "object", "load", "state", server_is_loaded(s) ? "loaded" : "loading");
}

static void stream(struct call *c)
{
    struct server *s = c->server;
    atomic_fetch_add(&s->working, 1); /* a stop waits for its last event */
    c->counted = true;
    call_stream_begin(c);
    call_stream_event(c, load_json(s->opt.arrival));
    load_feed_add(s->feed, c, FEED_EVENTS);
}

void answer_load(struct call *c)
{
    struct server *s = c->server;
    const char *accept = MHD_lookup_connection_value(c->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
    if (s->feed && header_accepts(accept, "text/event-stream"))
        stream(c);
    else
        call_reply_json(c, 200, s->opt.arrival ? load_json(s->opt.arrival) : bare_json(s));
}
