#include "serve/http/call.h"

#include "base/clock.h"
#include "serve/http/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A client that does not read its stream may lag this far behind: more than any context holds. */
enum { STREAM_BYTES = 64 << 20, STREAM_BLOCK = 16 << 10 };

struct call *call_new(struct server *s, struct MHD_Connection *connection, const char *url)
{
    struct call *c = calloc(1, sizeof *c);
    char *copy = strdup(url);
    if (!c || !copy) {
        free(c);
        free(copy);
        return NULL;
    }
    c->server = s;
    c->connection = connection;
    c->url = copy;
    c->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    c->begun_ms = clock_ms();
    atomic_init(&c->references, 1);
    pthread_mutex_init(&c->mutex, NULL);
    return c;
}

void call_hold(struct call *c)
{
    atomic_fetch_add(&c->references, 1);
}

void call_drop(struct call *c)
{
    if (atomic_fetch_sub(&c->references, 1) != 1)
        return;
    call_forget_body(c);
    version_drop(c->config);
    bytes_clear(&c->reply);
    pthread_mutex_destroy(&c->mutex);
    free(c->url);
    free(c);
}

static void resume_locked(struct call *c)
{
    if (c->suspended) {
        c->suspended = false;
        MHD_resume_connection(c->connection);
    }
}

void call_reply(struct call *c, int status, const char *type, const char *body, size_t size)
{
    pthread_mutex_lock(&c->mutex);
    if (c->phase < CALL_REPLIED) {
        c->phase = CALL_REPLIED;
        c->status = status;
        c->type = type;
        if (!bytes_add(&c->reply, body, size, STREAM_BYTES))
            c->status = 500;
        resume_locked(c);
    }
    pthread_mutex_unlock(&c->mutex);
}

void call_reply_page(struct call *c, const char *page, size_t size, const char *policy)
{
    pthread_mutex_lock(&c->mutex);
    c->policy = policy;
    pthread_mutex_unlock(&c->mutex);
    call_reply(c, 200, "text/html; charset=utf-8", page, size);
}

void call_reply_json(struct call *c, int status, json_t *body)
{
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    if (text)
        call_reply(c, status, "application/json", text, strlen(text));
    else
        call_reply(c, 500, "application/json", "", 0);
    free(text);
}

json_t *api_error_json(const struct api_error *e)
{
    const char *code = api_error_code(e);
    return json_pack("{s:{s:s, s:s, s:s?, s:s?}}", "error", "message", e->err.text, "type", api_error_type(e),
                     "param", *e->param ? e->param : NULL, "code", code);
}

void call_fail(struct call *c, const struct api_error *e)
{
    pthread_mutex_lock(&c->mutex);
    bool streaming = c->phase == CALL_STREAMING;
    pthread_mutex_unlock(&c->mutex);
    if (streaming) {
        call_stream_event(c, api_error_json(e));
        call_stream_end(c, "");
    } else {
        call_reply_json(c, api_error_status(e), api_error_json(e));
    }
}

void call_stream_begin(struct call *c)
{
    pthread_mutex_lock(&c->mutex);
    if (c->phase < CALL_REPLIED) {
        c->phase = CALL_STREAMING;
        c->status = 200;
        c->type = "text/event-stream";
        resume_locked(c);
    }
    pthread_mutex_unlock(&c->mutex);
}

static void stream_locked(struct call *c, const char *text, size_t size)
{
    if (c->gone || c->phase != CALL_STREAMING)
        return;
    if (!bytes_add(&c->reply, text, size, STREAM_BYTES))
        c->gone = true; /* nobody reads it */
    resume_locked(c);
}

void call_stream_event(struct call *c, json_t *event)
{
    char *text = event ? json_dumps(event, JSON_COMPACT) : NULL;
    json_decref(event);
    if (!text)
        return;
    pthread_mutex_lock(&c->mutex);
    stream_locked(c, "data: ", 6);
    stream_locked(c, text, strlen(text));
    stream_locked(c, "\n\n", 2);
    pthread_mutex_unlock(&c->mutex);
    free(text);
}

void call_stream_comment(struct call *c, const char *text)
{
    pthread_mutex_lock(&c->mutex);
    stream_locked(c, ": ", 2);
    stream_locked(c, text, strlen(text));
    stream_locked(c, "\n\n", 2);
    pthread_mutex_unlock(&c->mutex);
}

void call_stream_end(struct call *c, const char *last)
{
    pthread_mutex_lock(&c->mutex);
    stream_locked(c, last, strlen(last));
    c->phase = CALL_STREAMED;
    resume_locked(c);
    pthread_mutex_unlock(&c->mutex);
}

void call_on_gone(struct call *c, void (*fn)(void *arg), void *arg)
{
    pthread_mutex_lock(&c->mutex);
    c->on_gone = fn;
    c->gone_arg = arg;
    if (fn && c->gone) {
        c->on_gone = NULL;
        fn(arg);
    }
    pthread_mutex_unlock(&c->mutex);
}

bool call_is_gone(struct call *c)
{
    pthread_mutex_lock(&c->mutex);
    bool gone = c->gone;
    pthread_mutex_unlock(&c->mutex);
    return gone;
}

bool call_has_left(struct call *c)
{
    pthread_mutex_lock(&c->mutex);
    bool left = c->left;
    pthread_mutex_unlock(&c->mutex);
    return left;
}

void call_set_config(struct call *c, struct config_version *v)
{
    pthread_mutex_lock(&c->mutex);
    struct config_version *before = c->config;
    c->config = v;
    pthread_mutex_unlock(&c->mutex);
    version_drop(before);
}

void call_note_stats(struct call *c, const struct generation_stats *s)
{
    pthread_mutex_lock(&c->mutex);
    struct generation_stats *t = &c->stats;
    if (t->total_ms == 0) { /* the first piece of a request is the one that waited */
        t->queue_ms = s->queue_ms;
        t->first_token_ms = s->first_token_ms;
    }
    t->prompt_tokens += s->prompt_tokens;
    t->completion_tokens += s->completion_tokens;
    t->total_ms += s->total_ms;
    pthread_mutex_unlock(&c->mutex);
}

void call_gone(void *call)
{
    struct call *c = call;
    pthread_mutex_lock(&c->mutex);
    c->gone = true;
    c->left = c->left || c->phase < CALL_REPLIED || c->phase == CALL_STREAMING;
    void (*fn)(void *) = c->on_gone;
    c->on_gone = NULL;
    if (fn)
        fn(c->gone_arg);
    pthread_mutex_unlock(&c->mutex);
}

bool call_is_answered(struct call *c)
{
    pthread_mutex_lock(&c->mutex);
    bool answered = c->phase >= CALL_REPLIED;
    pthread_mutex_unlock(&c->mutex);
    return answered;
}

static void suspend_locked(struct call *c)
{
    c->suspended = true;
    MHD_suspend_connection(c->connection);
}

void call_wait(struct call *c)
{
    pthread_mutex_lock(&c->mutex);
    if (c->phase <= CALL_WORKING) {
        c->phase = CALL_WORKING;
        suspend_locked(c);
    }
    pthread_mutex_unlock(&c->mutex);
}

/* libmicrohttpd asks for the next piece of a stream. */
static ssize_t read_stream(void *arg, uint64_t position, char *out, size_t room)
{
    struct call *c = arg;
    (void)position;
    pthread_mutex_lock(&c->mutex);
    size_t n = c->reply.size - c->sent;
    ssize_t result = 0;
    if (c->gone) {
        result = MHD_CONTENT_READER_END_WITH_ERROR;
    } else if (n > 0) {
        n = n < room ? n : room;
        memcpy(out, c->reply.data + c->sent, n);
        c->sent += n;
        if (c->sent == c->reply.size)
            c->sent = c->reply.size = 0;
        result = (ssize_t)n;
    } else if (c->phase == CALL_STREAMED) {
        result = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        suspend_locked(c);
    }
    pthread_mutex_unlock(&c->mutex);
    return result;
}

static void drop_stream(void *arg)
{
    call_drop(arg);
}

/* The page runs its own script alone, in no frame, and tells nobody where it came from. */
static void protect_page(struct MHD_Response *r, const char *policy)
{
    MHD_add_response_header(r, "Content-Security-Policy", policy);
    MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(r, "Referrer-Policy", "no-referrer");
    MHD_add_response_header(r, "Permissions-Policy", "microphone=(self), camera=(), geolocation=()");
    MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
}

static void name_config(struct MHD_Response *r, const struct config_version *v)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)v->generation);
    MHD_add_response_header(r, "X-Ferry-Config-Generation", text);
}

struct MHD_Response *call_response(struct call *c)
{
    pthread_mutex_lock(&c->mutex);
    struct MHD_Response *r;
    if (c->phase == CALL_REPLIED) {
        r = MHD_create_response_from_buffer(c->reply.size, c->reply.data ? c->reply.data : (char[]){""},
                                            MHD_RESPMEM_MUST_COPY);
    } else {
        r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, read_stream, c, drop_stream);
        if (r)
            call_hold(c);
    }
    if (r && c->type)
        MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, c->type);
    if (r && c->policy)
        protect_page(r, c->policy);
    if (r && c->config)
        name_config(r, c->config);
    if (r && c->phase != CALL_REPLIED) {
        MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
        MHD_add_response_header(r, "X-Accel-Buffering", "no"); /* nginx in front: pass events on at once */
    }
    pthread_mutex_unlock(&c->mutex);
    return r;
}
