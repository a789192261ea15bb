/* proxy_port.c: the port of `ferry proxy`: what libmicrohttpd calls. Each connection has a thread, which may
 * wait. */
#include "cmd/proxy.h"

#include "base/stop.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { CONNECTIONS = 256, BLOCK = 32 << 10, NAME_BYTES = 256 };

struct proxy_port {
    const struct proxy *proxy;
    struct MHD_Daemon *daemon;
};

/* One request, between the callbacks. */
struct visit {
    const struct proxy *proxy;
    struct proxy_request *request;
    int fd;                 /* the client's socket */
    const char *connection; /* the client's header of that name */
    bool begun;
    bool events;  /* the answer is an event stream */
    char last[2]; /* of what was passed on */
    bool told;    /* how the stream broke off */
};

/* --- who asks --- */

/* The host of "HOST[:PORT]", without the brackets of an IPv6 address. False: not of that form, or too long.
 */
static bool host_name(const char *host, char out[NAME_BYTES])
{
    bool bracket = *host == '[';
    const char *begin = host + bracket, *end = begin + strcspn(begin, bracket ? "]" : ":");
    size_t n = (size_t)(end - begin);
    if (n == 0 || n >= NAME_BYTES || (bracket && *end++ != ']'))
        return false;
    memcpy(out, begin, n);
    out[n] = 0;
    return *end == 0 || (*end == ':' && end[1 + strspn(end + 1, "0123456789")] == 0);
}

static bool is_address(const char *name)
{
    unsigned char address[16];
    return inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
}

bool proxy_check_sender(const char *host, const char *origin, const char *own, struct err *e)
{
    char name[NAME_BYTES];
    if (!host_name(host, name) ||
        !(is_address(name) || strcasecmp(name, "localhost") == 0 || strcasecmp(name, own) == 0))
        return err_set(e, ERR_AUTH, "Host is %.60s, expected an address or localhost", host);
    if (origin && (strncasecmp(origin, "http://", 7) != 0 || strcasecmp(origin + 7, host) != 0))
        return err_set(e, ERR_AUTH, "a page of %.60s may not ask here", origin);
    return true;
}

/* --- the request --- */

/* The request line is there, as it came: libmicrohttpd's own url is decoded. */
static void *begin_visit(void *arg, const char *target, struct MHD_Connection *c)
{
    struct proxy_port *port = arg;
    struct visit *v = calloc(1, sizeof *v);
    if (!v)
        return NULL;
    v->proxy = port->proxy;
    v->fd = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    v->request = proxy_request_new(port->proxy, target);
    return v;
}

/* Whether name is in "a, b, c". */
static bool is_listed(const char *list, const char *name)
{
    static const char between[] = ", \t";
    size_t n = strlen(name);
    for (list += strspn(list, between); *list; list += strspn(list, between)) {
        size_t size = strcspn(list, between);
        if (size == n && strncasecmp(list, name, n) == 0)
            return true;
        list += size;
    }
    return false;
}

/* Without those that the client's Connection header keeps to this connection (RFC 9110, 7.6.1). */
static enum MHD_Result take_header(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct visit *v = arg;
    (void)kind;
    if (!is_listed(v->connection, name))
        proxy_request_header(v->request, name, value ? value : "");
    return MHD_YES;
}

static void take_head(struct visit *v, struct MHD_Connection *c, const char *method)
{
    struct err e = {0};
    const char *host = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Host");
    const char *origin = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Origin");
    const char *connection = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Connection");
    v->begun = true;
    v->connection = connection ? connection : "";
    proxy_request_method(v->request, method);
    MHD_get_connection_values(c, MHD_HEADER_KIND, take_header, v);
    if (!proxy_check_sender(host ? host : "localhost", origin, v->proxy->host, &e))
        proxy_request_refuse(v->request, &e);
}

/* --- the answer --- */

static bool nobody_waits(const struct visit *v)
{
    struct pollfd p = {.fd = v->fd, .events = POLLRDHUP};
    bool gone = poll(&p, 1, 0) == 1 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
    return gone || stop_wanted(v->proxy->stop);
}

/* A stream that broke off between two events can say so in one more. */
static ssize_t tell_events(struct visit *v, char *out, size_t room)
{
    bool between = v->last[1] == 0 || memcmp(v->last, "\n\n", 2) == 0;
    if (v->told)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (!v->events || !between)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    char *problem = proxy_request_problem(v->request);
    int n = problem ? snprintf(out, room, "data: %s\n\n", problem) : -1;
    free(problem);
    v->told = true;
    return n > 0 && (size_t)n < room ? n : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void note_last(struct visit *v, const char *bytes, size_t size)
{
    v->last[0] = size > 1 ? bytes[size - 2] : v->last[1];
    v->last[1] = bytes[size - 1];
}

/* libmicrohttpd's wish for more of the body. */
static ssize_t read_answer(void *arg, uint64_t at, char *out, size_t room)
{
    struct visit *v = arg;
    size_t size;
    (void)at;
    for (;;) {
        switch (proxy_request_read(v->request, out, room, &size)) {
        case PROXY_READY:
            note_last(v, out, size);
            return (ssize_t)size;
        case PROXY_ENDED:
            return MHD_CONTENT_READER_END_OF_STREAM;
        case PROXY_FAILED:
            return tell_events(v, out, room);
        case PROXY_WAITING:
            if (nobody_waits(v))
                return MHD_CONTENT_READER_END_WITH_ERROR;
        }
    }
}

/* Of the service's connection with us, or made anew by libmicrohttpd. */
static bool is_for_one_hop(const char *name)
{
    static const char *const names[] = {"connection", "keep-alive", "transfer-encoding", "content-length",
                                        "trailer",    "upgrade",    "proxy-authenticate"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

typedef void (*header_fn)(void *arg, const char *name, const char *value);

/* Of "name: value\n"…, as net/http.h keeps them. */
static void each_header(const char *headers, header_fn each, void *arg)
{
    char line[HTTP_HEADER_BYTES];
    for (const char *at = headers; *at; at += strcspn(at, "\n"), at += *at == '\n') {
        snprintf(line, sizeof line, "%.*s", (int)strcspn(at, "\n"), at);
        char *colon = strstr(line, ": ");
        if (!colon)
            continue;
        *colon = 0;
        each(arg, line, colon + 2);
    }
}

struct reply {
    struct visit *visit;
    struct MHD_Response *response;
    uint64_t size;
    bool sized;
};

static void look_at(void *arg, const char *name, const char *value)
{
    struct reply *r = arg;
    if (strcmp(name, "content-length") == 0)
        r->sized = sscanf(value, "%18" SCNu64, &r->size) == 1;
    if (strcmp(name, "content-type") == 0)
        r->visit->events = strncasecmp(value, "text/event-stream", 17) == 0;
}

static void pass_on(void *arg, const char *name, const char *value)
{
    struct reply *r = arg;
    if (!is_for_one_hop(name))
        MHD_add_response_header(r->response, name, value);
}

static void pass_retry(void *arg, const char *name, const char *value)
{
    struct reply *r = arg;
    if (strcmp(name, "retry-after") == 0)
        MHD_add_response_header(r->response, name, value);
}

static enum MHD_Result send_reply(struct MHD_Connection *c, int status, struct MHD_Response *response)
{
    enum MHD_Result ok = response ? MHD_queue_response(c, (unsigned)status, response) : MHD_NO;
    if (response)
        MHD_destroy_response(response);
    return ok;
}

static enum MHD_Result send_answer(struct visit *v, struct MHD_Connection *c, int status, const char *headers)
{
    struct reply r = {.visit = v};
    each_header(headers, look_at, &r);
    r.response =
        MHD_create_response_from_callback(r.sized ? r.size : MHD_SIZE_UNKNOWN, BLOCK, read_answer, v, NULL);
    if (r.response)
        each_header(headers, pass_on, &r);
    return send_reply(c, status, r.response);
}

static enum MHD_Result send_problem(struct visit *v, struct MHD_Connection *c, int status,
                                    const char *headers)
{
    struct reply r = {.visit = v};
    char *text = proxy_request_problem(v->request);
    if (!text)
        return MHD_NO;
    r.response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
    if (r.response) {
        MHD_add_response_header(r.response, "Content-Type", "application/json");
        each_header(headers, pass_retry, &r);
    }
    return send_reply(c, status, r.response);
}

static enum MHD_Result answer(struct visit *v, struct MHD_Connection *c)
{
    const char *headers;
    int status;
    proxy_request_send(v->request);
    for (;;) {
        switch (proxy_request_head(v->request, &status, &headers)) {
        case PROXY_READY:
        case PROXY_ENDED:
            return send_answer(v, c, status, headers);
        case PROXY_FAILED:
            return send_problem(v, c, status, headers);
        case PROXY_WAITING:
            if (nobody_waits(v))
                return MHD_NO;
        }
    }
}

static enum MHD_Result handle(void *arg, struct MHD_Connection *c, const char *url, const char *method,
                              const char *version, const char *data, size_t *size, void **state)
{
    struct visit *v = *state;
    (void)arg, (void)url, (void)version;
    if (!v || !v->request)
        return MHD_NO; /* no memory */
    if (!v->begun) {
        take_head(v, c, method);
        return MHD_YES;
    }
    if (*size == 0)
        return answer(v, c);
    proxy_request_body(v->request, data, *size);
    *size = 0;
    return MHD_YES;
}

static void end_visit(void *arg, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode how)
{
    struct visit *v = *state;
    (void)arg, (void)c, (void)how;
    if (v)
        proxy_request_free(v->request);
    free(v);
    *state = NULL;
}

/* --- the port --- */

struct proxy_port *proxy_port_open(const struct proxy *p, int listen_fd, struct err *e)
{
    struct proxy_port *port = calloc(1, sizeof *port);
    if (port) {
        port->proxy = p;
        port->daemon = MHD_start_daemon(
            MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC, 0,
            NULL, NULL, handle, port, MHD_OPTION_LISTEN_SOCKET, listen_fd, MHD_OPTION_URI_LOG_CALLBACK,
            begin_visit, port, MHD_OPTION_NOTIFY_COMPLETED, end_visit, port, MHD_OPTION_CONNECTION_LIMIT,
            (unsigned)CONNECTIONS, MHD_OPTION_END);
    }
    if (port && port->daemon)
        return port;
    close(listen_fd);
    free(port);
    err_set(e, ERR_MEMORY, "no memory for an HTTP server");
    return NULL;
}

void proxy_port_close(struct proxy_port *port)
{
    if (!port)
        return;
    MHD_stop_daemon(port->daemon); /* closes the socket */
    free(port);
}
