#include "serve/server.h"

#include "base/clock.h"
#include "base/listen.h"
#include "base/log.h"
#include "serve/http/connection.h"
#include "serve/http/state.h"
#include "serve/prepare.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum {
    BODY_BYTES = 64 << 20,
    BODIES_BYTES = 256 << 20,
    QUEUE = 64,
    CONNECTIONS = 8192,
    CONNECTION_MEMORY = 24 << 10, /* a request head fits, and a body is read in pieces of this size */
    THREAD_STACK = 256 << 10,
    FLUSH_MS = 1000,
    POLL_MS = 2,
    MAPPED_BYTES = 1 << 20, /* blocks from this size on are mapped */
};

static const double head_seconds = 60, idle_seconds = 620, stall_seconds = 60, config_seconds = 2;

void random_bytes(void *out, size_t size)
{
    if (getrandom(out, size, 0) == (ssize_t)size)
        return;
    uint64_t now = clock_ns(); /* a kernel without randomness: ids still differ */
    memcpy(out, &now, size < sizeof now ? size : sizeof now);
}

void random_id(char *out, size_t size, const char *prefix)
{
    unsigned char bytes[12] = {0};
    random_bytes(bytes, sizeof bytes);
    int n = snprintf(out, size, "%s", prefix);
    for (size_t i = 0; i < sizeof bytes && (size_t)n + 3 <= size; i++)
        n += snprintf(out + n, size - (size_t)n, "%02x", bytes[i]);
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

/* ---- birth ---- */

static void default_size(size_t *v, size_t value)
{
    *v = *v ? *v : value;
}

static void default_int(int *v, int value)
{
    *v = *v ? *v : value;
}

static void default_seconds(double *v, double value)
{
    *v = *v > 0 ? *v : value;
}

static bool copy_string(const char **s)
{
    return (*s = strdup(*s ? *s : "")) != NULL;
}

static bool copy_options(struct server *s, const struct server_options *given, struct err *e)
{
    struct server_options *o = &s->opt;
    *o = *given;
    bool host = copy_string(&o->host), key = copy_string(&o->api_key);
    bool version = copy_string(&o->version), math = copy_string(&o->math);
    if (!host || !key || !version || !math)
        return err_set(e, ERR_MEMORY, "no memory for the server");
    default_size(&o->body_bytes, BODY_BYTES);
    default_size(&o->bodies_bytes, BODIES_BYTES);
    default_int(&o->queue, QUEUE);
    default_int(&o->connections, CONNECTIONS);
    default_seconds(&o->head_seconds, head_seconds);
    default_seconds(&o->idle_seconds, idle_seconds);
    default_seconds(&o->stall_seconds, stall_seconds);
    default_seconds(&o->config_seconds, config_seconds);
    o->connections = raise_connection_limit(o->connections);
    snprintf(s->fingerprint, sizeof s->fingerprint, "ferry-%s%s%s", o->version, *o->math ? "-" : "", o->math);
    return true;
}

__attribute__((format(printf, 2, 0))) static void log_mhd(void *arg, const char *format, va_list args)
{
    char text[400];
    (void)arg;
    vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\n")] = '\0';
    log_debug("http", LOG_STR("detail", text), LOG_END);
}

static bool start_daemon(struct server *s, struct err *e)
{
    unsigned flags =
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC | MHD_USE_ERROR_LOG;
    s->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, connection_handle, s, MHD_OPTION_EXTERNAL_LOGGER, log_mhd, NULL,
        MHD_OPTION_LISTEN_SOCKET, s->listen_fd, MHD_OPTION_NOTIFY_COMPLETED, connection_completed, s,
        MHD_OPTION_NOTIFY_CONNECTION, connection_noted, s, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)s->opt.connections, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)(s->opt.idle_seconds < 1 ? 1 : s->opt.idle_seconds), MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_MEMORY, MHD_OPTION_THREAD_STACK_SIZE, (size_t)THREAD_STACK, MHD_OPTION_END);
    if (!s->daemon)
        return err_set(e, ERR_IO, "cannot start the HTTP server on port %d", s->port);
    s->listen_fd = -1;
    return true;
}

/* ---- live configuration ---- */

/* The one that this call has from here to its end. */
static void renew_config(struct call *c)
{
    struct server *s = c->server;
    if (!c->config)
        return;
    poller_fresh(s->poller, clock_ms());
    call_set_config(c, live_hold(s->live));
}

static bool config_fits(void *model, const struct service_config *c, struct err *e)
{
    return prepare_config_fits(model, c, e);
}

static bool start_config(struct server *s, struct err *e)
{
    if (!s->opt.config)
        return true;
    return (s->live = live_new(s->opt.config, s->opt.config_seconds * 1e3, e)) &&
           (s->poller = poller_new(s->live, e));
}

static bool open_port(struct server *s, struct err *e)
{
    s->listen_fd = s->opt.listen_fd ? s->opt.listen_fd : listen_on(s->opt.host, &s->port, e);
    return s->listen_fd >= 0 && (!s->opt.listen_fd || listen_adopt(s->listen_fd, &s->port, e));
}

/* On the worker's thread. */
static void run_call(void *arg, struct call *c)
{
    struct server *s = arg;
    struct api_error e = {0};
    if (!atomic_load(&s->model))
        refuse_stopping(s, &e);
    else if (call_is_gone(c))
        api_refuse(&e, ERR_CANCELLED, "", "the client went away");
    if (e.err.kind == ERR_NONE) {
        renew_config(c);
        c->route->answer(c);
    } else {
        call_fail(c, &e);
    }
    call_drop(c);
}

struct server *server_new(const struct server_options *o, struct err *e)
{
    struct server *s = calloc(1, sizeof *s);
    if (!s) {
        err_set(e, ERR_MEMORY, "no memory for the server");
        return NULL;
    }
    s->listen_fd = -1;
    /* Left to itself glibc learns from large uploads to keep such blocks: 45 MB of audio left 90 MB behind.
     */
    mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES);
    if (!copy_options(s, o, e))
        goto failed;
    s->port = s->opt.port;
    struct watch_limits limits = {s->opt.head_seconds, s->opt.idle_seconds, s->opt.stall_seconds};
    if (!(s->metrics = metrics_new())) {
        err_set(e, ERR_MEMORY, "no memory for the server");
        goto failed;
    }
    if (o->arrival && !(s->feed = load_feed_new(o->arrival, e)))
        goto failed;
    if (open_port(s, e) && (s->watch = watch_new(&limits, e)) && start_config(s, e) &&
        (s->worker = worker_new(run_call, s, e)) && start_daemon(s, e))
        return s;
failed:
    server_free(s);
    return NULL;
}

int server_port(const struct server *s)
{
    return s->port;
}

bool server_set_model(struct server *s, struct loaded_model *m, struct err *e)
{
    if (!(s->scheduler = scheduler_new(m, s->opt.queue, e)))
        return false;
    if (s->live)
        live_set_fits(s->live, config_fits, m);
    atomic_store(&s->model, m);
    worker_open(s->worker);
    return true;
}

/* ---- end ---- */

static bool wait_until_done(struct server *s, double until_ms)
{
    while (atomic_load(&s->working) > 0 && clock_ms() < until_ms)
        pause_ms(POLL_MS);
    return atomic_load(&s->working) == 0;
}

/* Whoever knocks from here on is refused. The socket is closed when the daemon's thread, which may still ask
 * about it, has ended. */
static MHD_socket stop_listening(struct server *s)
{
    MHD_socket fd = s->daemon ? MHD_quiesce_daemon(s->daemon) : MHD_INVALID_SOCKET;
    if (fd != MHD_INVALID_SOCKET)
        shutdown(fd, SHUT_RDWR);
    return fd;
}

bool server_stop(struct server *s, double seconds)
{
    atomic_store(&s->stopping, true);
    s->stopped = true;
    MHD_socket listening = stop_listening(s);
    load_feed_stop(s->feed);
    if (s->poller)
        poller_stop(s->poller);
    bool all_finished = wait_until_done(s, clock_ms() + seconds * 1e3);
    if (s->scheduler)
        scheduler_drain(s->scheduler, 0);
    if (s->worker)
        worker_stop(s->worker);
    /* everything has its last event now; what is left is to send it */
    wait_until_done(s, clock_ms() + FLUSH_MS);
    if (s->daemon)
        MHD_stop_daemon(s->daemon);
    s->daemon = NULL;
    if (listening != MHD_INVALID_SOCKET)
        close(listening);
    return all_finished;
}

void server_free(struct server *s)
{
    if (!s)
        return;
    if (!s->stopped)
        server_stop(s, 0);
    scheduler_free(s->scheduler);
    worker_free(s->worker);
    load_feed_free(s->feed);
    watch_free(s->watch);
    poller_free(s->poller);
    live_free(s->live);
    metrics_free(s->metrics);
    if (s->listen_fd >= 0)
        close(s->listen_fd);
    const char *strings[] = {s->opt.host, s->opt.api_key, s->opt.version, s->opt.math};
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
        free((void *)(uintptr_t)strings[i]);
    free(s);
}
