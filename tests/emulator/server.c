/* server.c: libmicrohttpd's side: requests come in, faults strike, answers go out, each with its line in the
 * log. */
#include "exchange.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    EXCHANGE_MEMORY = 64 << 20,
    CONNECTION_MEMORY = 256 << 10, /* bodies are read in pieces of about half of it */
    SEND_BLOCK = 256 << 10,
    CONNECTIONS = 2000,
    THREAD_STACK = 1 << 20,
};

struct server {
    struct service *service;
    const char *host;
    struct MHD_Daemon *daemon;
    int port;
};

int64_t service_now_us(const struct service *s)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return ((int64_t)now.tv_sec + atomic_load(&s->clock_offset)) * 1000000 + now.tv_nsec / 1000;
}

/* ---- the head ---- */

static enum MHD_Result note_header(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct exchange *x = arg;
    (void)kind;
    char *lower = arena_strndup(x->arena, name, strlen(name));
    for (char *c = lower; *c; c++)
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c | 32 : *c);
    if (!strcmp(lower, "authorization")) /* the scheme alone */
        value = arena_printf(x->arena, "%.*s …", (int)strcspn(value, " "), value);
    json_object_set_new(x->headers, lower, json_string(value ? value : ""));
    return MHD_YES;
}

static enum MHD_Result note_argument(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct exchange *x = arg;
    (void)kind;
    x->query = arena_printf(x->arena, "%s%s%s%s%s", x->query, *x->query ? "&" : "", name, value ? "=" : "",
                            value ? value : "");
    if (x->argument_count < MAX_QUERY)
        x->arguments[x->argument_count++] =
            (struct api_argument){decode_percent(x->arena, name, strlen(name), true),
                                  value ? decode_percent(x->arena, value, strlen(value), true) : ""};
    return MHD_YES;
}

static struct exchange *exchange_new(struct server *s, struct MHD_Connection *c, const char *path,
                                     const char *method)
{
    struct arena *a = arena_new(EXCHANGE_MEMORY);
    struct exchange *x = a ? arena_alloc(a, 1, sizeof *x) : NULL;
    if (!x)
        abort();
    atomic_fetch_add(&s->service->under_way, 1);
    x->service = s->service;
    x->arena = a;
    x->connection = c;
    x->fd = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    x->host = s->host;
    x->method = arena_strndup(a, method, strlen(method));
    x->path = arena_strndup(a, path, strlen(path));
    x->query = "";
    x->headers = json_object();
    x->body.fd = x->answer.fd = -1;
    x->answer.open_piece = -1;
    MHD_get_connection_values(c, MHD_HEADER_KIND, note_header, x);
    MHD_get_connection_values(c, MHD_GET_ARGUMENT_KIND, note_argument, x);
    const char *host = request_header(x, "Host");
    x->origin = arena_printf(a, "http://%s", host ? host : "127.0.0.1");
    return x;
}

static void strike_head(struct exchange *x)
{
    struct fault_probe p = {x->method, x->path, x->query, x->host, request_header(x, "Range") != NULL};
    struct service *s = x->service;
    if (strncmp(x->path, "/emulator/", 10))
        x->fault = faults_strike(s->faults, &p);
    if (fault_is(x->fault, "kill_token"))
        token_kill(s->tokens, bearer_token(x));
    if (fault_is(x->fault, "expire_urls"))
        atomic_store(&s->urls_void_us, service_now_us(s));
    if (json_object_get(x->fault, "clock_offset_seconds"))
        atomic_store(&s->clock_offset, fault_number(x->fault, "clock_offset_seconds", 0));
}

/* What no description tells: the bytes of a session. */
static bool is_of_session(const struct exchange *x)
{
    return argument(x, "upload_id") && strcmp(x->method, "POST") != 0;
}

/* Method, path and query, whatever a fault will make of it. False: e says what is wrong. */
static bool describe(struct exchange *x, struct err *e)
{
    const char *method = strcmp(x->method, "HEAD") != 0 ? x->method : "GET";
    if (strcmp(x->host, "main") != 0 || is_of_session(x))
        return true;
    switch (api_find(x->service->apis, method, x->path, &x->call)) {
    case API_NONE:
        return true;
    case API_UNKNOWN:
        return err_set(e, ERR_NOT_FOUND, "no method of the API: %s %s", x->method, x->path);
    case API_METHOD:
        break;
    }
    return api_check_query(&x->call, x->arguments, x->argument_count, e);
}

/* The body of a call, when it is there as a whole. */
static void check_body(struct exchange *x)
{
    struct err e = {0};
    if (x->call.id && x->body.sink == SINK_MEMORY &&
        !api_check_body(&x->call, request_header(x, "Content-Type"), x->body.bytes, x->body.size, &x->json,
                        &e))
        refuse_invalid(x, &e);
}

/* A fault's own status instead of the real answer; one with "after_bytes" lets the request begin. */
static bool fault_answers_alone(const struct exchange *x)
{
    return json_object_get(x->fault, "status") && !fault_is(x->fault, "late") &&
           !json_object_get(x->fault, "after_bytes");
}

static void exchange_begin(struct exchange *x)
{
    struct err e = {0};
    bool valid = describe(x, &e), alone;
    strike_head(x);
    x->route = route_find(x);
    alone = fault_answers_alone(x);
    if (!alone && !x->route)
        fail_json(x, 404, "notFound", "Not Found: %s %s", x->method, x->path);
    else if (!alone && x->route->begin)
        x->route->begin(x);
    if (!valid)
        refuse_invalid(x, &e);
    if (alone || x->answer.status)
        x->body.sink = SINK_NOTHING;
}

/* ---- the body ---- */

static bool body_grow(struct body *b, size_t more)
{
    size_t room = b->room ? b->room : 4096;
    while (room < b->size + more + 1)
        room *= 2;
    char *grown = room > b->room ? realloc(b->bytes, room) : b->bytes;
    if (!grown)
        return false;
    b->bytes = grown;
    b->room = room;
    return true;
}

static bool body_to_memory(struct exchange *x, const char *bytes, size_t size)
{
    struct body *b = &x->body;
    if (b->size + size > MEMORY_BODY || !body_grow(b, size)) {
        fail_json(x, 413, "uploadTooLarge", "The request is too large.");
        b->sink = SINK_NOTHING;
        return true;
    }
    memcpy(b->bytes + b->size, bytes, size);
    b->size += size;
    b->bytes[b->size] = 0;
    return true;
}

static bool body_to_file(struct body *b, const char *bytes, size_t size)
{
    size_t skipped = b->skip < size ? (size_t)b->skip : size;
    b->skip -= skipped;
    bytes += skipped;
    size -= skipped;
    while (size) {
        ssize_t n = pwrite(b->fd, bytes, size, (off_t)b->at);
        if (n <= 0)
            return false;
        bytes += n;
        size -= (size_t)n;
        b->at += (uint64_t)n;
        b->taken += (uint64_t)n;
    }
    return true;
}

static bool body_take(struct exchange *x, const char *bytes, size_t size)
{
    switch (x->body.sink) {
    case SINK_MEMORY:
        return body_to_memory(x, bytes, size);
    case SINK_BLOB:
    case SINK_SESSION:
        return body_to_file(&x->body, bytes, size);
    case SINK_NOTHING:
        break;
    }
    return true;
}

/* Bytes of the body from `at` on, one of them inverted if a fault wants it. */
static bool body_add(struct exchange *x, uint64_t at, const char *bytes, size_t size)
{
    int64_t where = fault_number(x->fault, "corrupt_byte", -1);
    if (where < (int64_t)at || where >= (int64_t)(at + size))
        return body_take(x, bytes, size);
    size_t before = (size_t)where - (size_t)at;
    char wrong = (char)~bytes[before];
    return body_take(x, bytes, before) && body_take(x, &wrong, 1) &&
           body_take(x, bytes + before + 1, size - before - 1);
}

/* A TCP reset: what waits to be sent is dropped, and the other side is told. */
static void reset_connection(int fd)
{
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    connect(fd, &nobody, sizeof nobody);
}

/* Until the other side has gone, or so long. */
static void stall(struct exchange *x, double seconds)
{
    struct pollfd p = {.fd = x->fd, .events = POLLRDHUP};
    for (int ms = (int)(seconds * 1e3); ms > 0 && !atomic_load(&x->service->stopping); ms -= 50)
        if (poll(&p, 1, ms < 50 ? ms : 50) != 0)
            return;
}

/* The middle of a body, as the fault has it. False: the connection ends here. */
static bool strike_middle(struct exchange *x)
{
    const char *then = fault_text(x->fault, "then");
    if (!then || !strcmp(then, "answer"))
        return true;
    if (!strcmp(then, "stall")) {
        double seconds = fault_seconds(x->fault, "stall_seconds");
        stall(x, seconds > 0 ? seconds : 3600);
        return seconds > 0;
    }
    if (!strcmp(then, "reset"))
        reset_connection(x->fd);
    return false;
}

static enum MHD_Result take_body(struct exchange *x, const char *bytes, size_t size)
{
    struct body *b = &x->body;
    uint64_t at = b->received;
    int64_t limit = fault_number(x->fault, "after_bytes", -1);
    bool over = limit >= 0 && at <= (uint64_t)limit && at + size > (uint64_t)limit; /* once */
    size_t good = over ? (size_t)((uint64_t)limit - at) : size;
    b->received += size;
    if (!b->cut && !body_add(x, at, bytes, good))
        return MHD_NO;
    if (good == size || b->cut)
        return MHD_YES;
    if (!strike_middle(x))
        return MHD_NO;
    if (fault_text(x->fault, "then") && !strcmp(fault_text(x->fault, "then"), "stall"))
        return body_add(x, at + good, bytes + good, size - good) ? MHD_YES : MHD_NO;
    b->cut = true;
    return MHD_YES;
}

/* ---- the answer ---- */

static int piece_fd(struct answer *a, int i)
{
    if (a->open_piece != i) {
        if (a->fd >= 0)
            close(a->fd);
        a->fd = open(a->pieces[i].path, O_RDONLY | O_CLOEXEC);
        a->open_piece = i;
    }
    return a->fd;
}

static ssize_t read_pieces(struct answer *a, uint64_t at, char *out, size_t room)
{
    for (int i = 0; i < a->piece_count; at -= a->pieces[i].size, i++) {
        const struct piece *p = &a->pieces[i];
        if (at < p->size) {
            size_t n = p->size - at < room ? (size_t)(p->size - at) : room;
            return pread(piece_fd(a, i), out, n, (off_t)(p->offset + at));
        }
    }
    return -1;
}

static ssize_t read_answer(struct answer *a, uint64_t at, char *out, size_t room)
{
    size_t n = a->size - at < room ? (size_t)(a->size - at) : room;
    if (a->pieces)
        return read_pieces(a, at, out, n);
    memcpy(out, a->memory + at, n);
    return (ssize_t)n;
}

static void corrupt(const struct exchange *x, uint64_t at, char *bytes, ssize_t size)
{
    int64_t where = x->body.received ? -1 : fault_number(x->fault, "corrupt_byte", -1);
    if (where >= (int64_t)at && where < (int64_t)at + size)
        bytes[where - (int64_t)at] ^= (char)0xff;
}

/* At most so many bytes now; sleeps as long as they take. */
static size_t throttle(const struct exchange *x, size_t room)
{
    int64_t rate = fault_number(x->fault, "bytes_per_second", 0);
    if (rate <= 0)
        return room;
    size_t n = (size_t)(rate / 50 + 1) < room ? (size_t)(rate / 50 + 1) : room;
    uint64_t ns = (uint64_t)n * 1000000000 / (uint64_t)rate;
    nanosleep(&(struct timespec){(time_t)(ns / 1000000000), (long)(ns % 1000000000)}, NULL);
    return n;
}

static ssize_t send_some(void *arg, uint64_t at, char *out, size_t room)
{
    struct exchange *x = arg;
    int64_t limit = x->body.received ? -1 : fault_number(x->fault, "after_bytes", -1);
    room = throttle(x, room);
    if (limit >= 0 && at == (uint64_t)limit && !strike_middle(x))
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (limit >= 0 && at < (uint64_t)limit && room > (uint64_t)limit - at)
        room = (size_t)((uint64_t)limit - at);
    ssize_t n = read_answer(&x->answer, at, out, room);
    if (n <= 0)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    corrupt(x, at, out, n);
    x->answer.sent = at + (uint64_t)n;
    return n;
}

static void replace_answer(struct exchange *x)
{
    struct answer *a = &x->answer;
    json_t *body = json_object_get(x->fault, "body");
    a->status = 0;
    a->header_count = a->piece_count = 0;
    a->pieces = NULL;
    a->size = 0;
    int status = (int)fault_number(x->fault, "status", 500);
    if (json_is_string(body))
        answer_text(x, status, "text/plain; charset=UTF-8", json_string_value(body));
    else if (body)
        answer_json(x, status, json_incref(body));
    else
        answer_empty(x, status);
}

static bool is_dropped(const struct exchange *x, const char *name)
{
    size_t i;
    json_t *dropped;
    json_array_foreach(json_object_get(x->fault, "drop_headers"), i,
                       dropped) if (!strcasecmp(json_string_value(dropped), name)) return true;
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(x->fault, "headers"), key,
                        value) if (!strcasecmp(key, name)) return true;
    return false;
}

static void add_headers(struct exchange *x, struct MHD_Response *r)
{
    const char *key;
    json_t *value;
    for (int i = 0; i < x->answer.header_count; i++)
        if (!is_dropped(x, x->answer.headers[i].name))
            MHD_add_response_header(r, x->answer.headers[i].name, x->answer.headers[i].value);
    json_object_foreach(json_object_get(x->fault, "headers"), key, value)
        MHD_add_response_header(r, key, json_string_value(value));
    if (atomic_load(&x->service->clock_offset))
        MHD_add_response_header(r, "Date", time_http(x->arena, service_now_us(x->service) / 1000000));
}

static enum MHD_Result send_answer(struct exchange *x)
{
    struct answer *a = &x->answer;
    if (!a->size && !x->body.received && json_object_get(x->fault, "after_bytes") && !strike_middle(x))
        return MHD_NO;
    int64_t short_by = fault_number(x->fault, "short_by", 0);
    if (short_by > 0)
        a->size -= (uint64_t)short_by < a->size ? (uint64_t)short_by : a->size;
    struct MHD_Response *r =
        a->size ? MHD_create_response_from_callback(
                      a->size, a->size < SEND_BLOCK ? (size_t)a->size : SEND_BLOCK, send_some, x, NULL)
                : MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    if (!r)
        return MHD_NO;
    add_headers(x, r);
    enum MHD_Result ok = MHD_queue_response(x->connection, (unsigned)a->status, r);
    MHD_destroy_response(r);
    return ok;
}

static enum MHD_Result exchange_finish(struct exchange *x)
{
    bool cut = x->body.cut;
    if (!cut)
        check_body(x);
    if (!fault_answers_alone(x) && !x->answer.status && !cut)
        x->route->finish(x);
    /* "after_bytes" with a body stalls in the middle of it instead */
    if (json_object_get(x->fault, "stall_seconds") && !json_object_get(x->fault, "after_bytes"))
        stall(x, fault_seconds(x->fault, "stall_seconds"));
    if (cut || json_object_get(x->fault, "status"))
        replace_answer(x);
    if (!x->answer.status)
        fail_json(x, 500, "internalError", "no answer"); /* a mistake of the emulator's */
    return send_answer(x);
}

/* ---- the end ---- */

static void log_exchange(const struct exchange *x, bool complete)
{
    const char *query = x->query;
    json_t *line = json_pack(
        "{s:s,s:s,s:o,s:i,s:I,s:I,s:b,s:s?,s:O,s:s?,s:O*,s:s?}", "host", x->host, "method", x->method, "path",
        json_string(arena_printf(x->arena, "%s%s%s", x->path, *query ? "?" : "", query)), "status",
        x->answer.status, "body", (json_int_t)x->body.received, "sent", (json_int_t)x->answer.sent,
        "complete", complete, "fault", fault_text(x->fault, "name"), "headers", x->headers, "call",
        x->call.id, "json", x->json, "invalid", x->invalid);
    char *text = json_dumps(line, JSON_COMPACT);
    if (text && strncmp(x->path, "/emulator/", 10)) {
        size_t size = strlen(text);
        text[size] = '\n';
        if (write(x->service->log, text, size + 1) < 0)
            perror("emulator: log");
    }
    free(text);
    json_decref(line);
}

/* What a broken or finished request wrote belongs to its session, in whole units when it broke. */
static void release_session(struct exchange *x)
{
    struct world *w = x->service->world;
    struct session *s = x->body.session;
    world_lock(w);
    if (s->blob && s->held < x->body.at)
        s->held = x->body.at / (256 << 10) * (256 << 10);
    s->busy = false;
    world_changed_locked(w);
    world_unlock(w);
}

static void exchange_free(struct exchange *x, bool complete)
{
    struct service *s = x->service;
    if (x->body.fd >= 0)
        close(x->body.fd);
    if (x->answer.fd >= 0)
        close(x->answer.fd);
    if (x->body.session)
        release_session(x);
    world_lock(s->world);
    blob_drop_locked(s->world, x->body.blob);
    object_drop_locked(s->world, x->answer.object);
    world_unlock(s->world);
    log_exchange(x, complete);
    json_decref(x->headers);
    json_decref(x->json);
    json_decref(x->fault);
    free(x->body.bytes);
    arena_free(x->arena);
    atomic_fetch_sub(&s->under_way, 1);
}

/* ---- libmicrohttpd ---- */

static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *url, const char *method,
                                  const char *version, const char *data, size_t *size, void **state)
{
    struct exchange *x = *state;
    (void)version;
    if (!x) {
        *state = x = exchange_new(arg, c, url, method);
        exchange_begin(x);
        return MHD_YES;
    }
    if (*size) {
        enum MHD_Result ok = take_body(x, data, *size);
        *size = 0;
        return ok;
    }
    return exchange_finish(x);
}

static void on_completed(void *arg, struct MHD_Connection *c, void **state,
                         enum MHD_RequestTerminationCode how)
{
    (void)arg, (void)c;
    if (*state)
        exchange_free(*state, how == MHD_REQUEST_TERMINATED_COMPLETED_OK);
    *state = NULL;
}

/* Names are decoded here, segment by segment: "%2F" is not a slash. */
static size_t leave_encoded(void *arg, struct MHD_Connection *c, char *text)
{
    (void)arg, (void)c;
    return strlen(text);
}

struct server *server_start(struct service *service, int port, const char *host, struct err *e)
{
    struct server *s = calloc(1, sizeof *s);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (!s)
        return NULL;
    s->service = service;
    s->host = host;
    s->daemon = MHD_start_daemon(
        MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC, 0, NULL,
        NULL, on_request, s, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&at, MHD_OPTION_NOTIFY_COMPLETED,
        on_completed, s, MHD_OPTION_UNESCAPE_CALLBACK, leave_encoded, s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_MEMORY, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS,
        MHD_OPTION_THREAD_STACK_SIZE, (size_t)THREAD_STACK, MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u,
        MHD_OPTION_END);
    if (!s->daemon) {
        err_set(e, ERR_IO, "cannot listen on port %d: %s", port, strerror(errno));
        free(s);
        return NULL;
    }
    s->port = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
    return s;
}

int server_port(const struct server *s)
{
    return s->port;
}

void server_stop(struct server *s)
{
    if (!s)
        return;
    MHD_stop_daemon(s->daemon);
    free(s);
}
