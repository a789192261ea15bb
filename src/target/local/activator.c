/* activator.c: supervision: servers are started, stopped, replaced, and their ends are noticed. */
#include "target/local/activator_parts.h"

#include "base/catalog.h"
#include "base/clock.h"
#include "base/listen.h"
#include "target/local/environment.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    LOOK_MS = CHILD_ASK_MS, /* while something is to be asked again and again */
    SWEEP_MS = 1000,
    FLUSH_MS = 2000, /* for clients to take in their last answers */
};

/* --- what is told --- */

void activator_note(struct activator *a, const char *severity, const char *message, json_t *fields)
{
    struct timespec now;
    struct tm utc;
    char stamp[40];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t n = strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(stamp + n, sizeof stamp - n, ".%03ldZ", now.tv_nsec / 1000000);
    json_t *line = json_pack("{s:s, s:s, s:s, s:s}", "severity", severity, "time", stamp, "message", message,
                             "from", "activator");
    if (fields)
        json_object_update(line, fields);
    json_decref(fields);
    char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
    if (text)
        log_file_line(&a->log, text, strlen(text));
    free(text);
    json_decref(line);
}

static json_t *process_json(long pid, const char *group)
{
    return json_pack("{s:I, s:I, s:s}", "pid", (json_int_t)pid, "begun", (json_int_t)process_begun(pid),
                     "group", group);
}

/* For whoever finds this process gone: what it has left behind. */
static void write_state(struct activator *a, bool ended)
{
    json_t *servers = json_array();
    struct child *first[] = {a->current, a->update.child};
    for (size_t i = 0; i < 2; i++)
        if (first[i])
            json_array_append_new(servers, process_json(first[i]->pid, first[i]->limit.folder));
    for (struct child *c = a->others; c; c = c->next)
        if (!c->ended)
            json_array_append_new(servers, process_json(c->pid, c->limit.folder));
    json_t *state = json_pack("{s:o, s:o, s:b}", "activator", process_json(getpid(), ""), "servers", servers,
                              "ended", ended);
    struct err e = {0};
    if (!home_write_json(a->home, "state.json", state, &e))
        activator_note(a, "WARNING", e.text, NULL);
    json_decref(state);
}

static int64_t unix_seconds(double at_ms)
{
    return (int64_t)time(NULL) - (int64_t)((clock_ms() - at_ms) * 1e-3);
}

json_t *activator_status(const struct activator *a)
{
    const struct child *c = a->current;
    double now_ms = clock_ms();
    bool failed = a->machine.phase == PHASE_FAILED;
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s?, s:s?}", "state",
                     a->stopping ? "stopping" : machine_phase_name(a->machine.phase), "since",
                     (json_int_t)unix_seconds(a->machine.since_ms), "pid", (json_int_t)getpid(), "server_pid",
                     (json_int_t)(c ? c->pid : 0), "memory_bytes", (json_int_t)(c ? child_memory(c) : 0),
                     "requests", (json_int_t)a->requests, "in_flight", (json_int_t)a->machine.in_flight,
                     "retry_seconds", (json_int_t)(failed ? machine_retry_seconds(&a->machine, now_ms) : 0),
                     "problem", *a->failure ? a->failure : NULL, "memory_note",
                     c && *c->limit_note ? c->limit_note : NULL);
}

/* --- servers --- */

static void retire(struct activator *a, struct child *c)
{
    c->next = a->others;
    a->others = c;
}

static struct child *start_child(struct activator *a, const struct spec *s, char *const *environment,
                                 double now_ms, struct err *e)
{
    struct child *c = child_start(s, environment, ++a->started, &a->loop, &a->log, now_ms, e);
    if (c && *c->limit_note)
        activator_note(a, "WARNING", c->limit_note, NULL);
    return c;
}

static void start_current(struct activator *a, double now_ms)
{
    struct err e = {0};
    a->current = start_child(a, &a->spec, a->environment, now_ms, &e);
    if (a->current) {
        activator_note(a, "INFO", "server started", json_pack("{s:I}", "pid", (json_int_t)a->current->pid));
        write_state(a, false);
        return;
    }
    snprintf(a->failure, sizeof a->failure, "the server of %s could not be started: %.500s", a->spec.name,
             e.text);
    activator_note(a, "ERROR", a->failure, NULL);
    machine_ended(&a->machine, now_ms);
}

static void stop_current(struct activator *a, double now_ms)
{
    bool told = a->put_to_sleep;
    a->put_to_sleep = false;
    activator_note(a, "INFO",
                   told ? "server stops: put to sleep" : "server stops: nobody has asked for a while",
                   json_pack("{s:f}", "idle_seconds", a->spec.idle_seconds));
    child_stop(a->current, now_ms);
}

static void follow_orders(struct activator *a, double now_ms)
{
    switch (a->stopping ? ORDER_NONE : machine_tick(&a->machine, now_ms)) {
    case ORDER_START:
        start_current(a, now_ms);
        break;
    case ORDER_STOP:
        stop_current(a, now_ms);
        break;
    case ORDER_KILL:
        child_kill(a->current);
        break;
    case ORDER_NONE:
        break;
    }
}

/* Whether it ended for another reason than that it was told to. */
static void tell_end(struct activator *a, const struct child *c, char failure[FAILURE_BYTES])
{
    char why[CHILD_WHY];
    child_why(c, why);
    snprintf(failure, FAILURE_BYTES, "the server of %s %s: %s", a->spec.name,
             c->ready ? "is gone" : "could not start", why);
    json_int_t lived_ms = (json_int_t)(clock_ms() - c->started_ms);
    activator_note(a, c->stopped ? "INFO" : "ERROR", c->stopped ? "server ended" : failure,
                   json_pack("{s:I, s:I}", "pid", (json_int_t)c->pid, "lived_ms", lived_ms));
}

static void fail_update(struct activator *a, const char *problem)
{
    struct update u = a->update;
    a->update = (struct update){.listener = -1};
    spec_clear(&u.spec);
    environment_free(u.environment);
    if (u.listener >= 0)
        close(u.listener);
    if (u.child)
        retire(a, u.child);
    if (u.asker)
        control_done(a, u.asker, problem);
}

static void child_ended(struct activator *a, struct child *c, double now_ms)
{
    char failure[FAILURE_BYTES];
    tell_end(a, c, failure);
    if (c == a->update.child) {
        fail_update(a, failure);
    } else if (c == a->current) {
        a->current = NULL;
        if (!c->stopped)
            memcpy(a->failure, failure, sizeof failure);
        machine_ended(&a->machine, now_ms);
        retire(a, c);
    }
    requests_child_ended(a, c, failure, now_ms);
    write_state(a, false);
}

static void reap(struct activator *a, double now_ms)
{
    struct child *next, *first[] = {a->current, a->update.child};
    for (size_t i = 0; i < 2; i++)
        if (first[i] && child_reap(first[i]))
            child_ended(a, first[i], now_ms);
    for (struct child *c = a->others; c; c = next) {
        next = c->next;
        if (!c->ended && child_reap(c))
            child_ended(a, c, now_ms);
    }
}

/* Those whose place another one has taken: told to end when their last request is over, killed when they do
 * not, forgotten when nothing names them any more. */
static void look_after_others(struct activator *a, double now_ms)
{
    for (struct child **at = &a->others; *at;) {
        struct child *c = *at;
        if (c->ended && c->users == 0) {
            *at = c->next;
            child_free(c);
            continue;
        }
        if (!c->ended && c->users == 0)
            child_stop(c, now_ms);
        if (!c->ended && c->stopped && now_ms - c->stopped_ms > MACHINE_KILL_MS)
            child_kill(c);
        at = &c->next;
    }
}

/* --- updates --- */

/* The port of the new spec, when it is another one. */
static bool open_listener(struct activator *a, struct spec *s, int *listener, struct err *e)
{
    bool same = s->port == a->spec.port && strcmp(s->host, a->spec.host) == 0;
    *listener = same ? -1 : listen_on(s->host, &s->port, e);
    if (*listener < 0)
        return same;
    json_object_set_new(s->json, "port", json_integer(s->port));
    return true;
}

/* Connections that were made to the old port are taken before it is closed. */
static void change_listener(struct activator *a, int listener)
{
    if (listener < 0)
        return;
    requests_accept(a);
    loop_drop(&a->loop, &a->listener);
    a->listener.fd = listener;
    a->listening = loop_watch(&a->loop, &a->listener, EPOLLIN);
}

/* The new spec is in force. */
static void adopt_spec(struct activator *a, double now_ms)
{
    struct update *u = &a->update;
    struct err e = {0};
    spec_clear(&a->spec);
    environment_free(a->environment);
    a->spec = u->spec;
    a->environment = u->environment;
    a->machine.idle_ms = a->spec.idle_seconds * 1e3;
    a->failure[0] = 0;
    change_listener(a, u->listener);
    if (u->child) {
        if (a->current)
            retire(a, a->current);
        a->current = u->child;
        machine_replaced(&a->machine, now_ms);
    } else {
        machine_forgive(&a->machine, now_ms);
    }
    struct asker *k = u->asker;
    *u = (struct update){.listener = -1};
    activator_note(a, "INFO", "updated", NULL);
    write_state(a, false);
    home_write_json(a->home, "service.json", a->spec.json, &e);
    control_done(a, k, e.kind ? e.text : NULL);
}

static bool check_update(const struct activator *a, const struct spec *s, struct err *e)
{
    if (a->stopping)
        return err_set(e, ERR_BUSY, "the service is being stopped");
    if (a->update.asker)
        return err_set(e, ERR_BUSY, "another update is under way");
    return strcmp(s->name, a->spec.name) == 0 ||
           err_set(e, ERR_USAGE, "this is the activator of \"%s\"", a->spec.name);
}

bool activator_apply(struct activator *a, struct spec *s, char **environment, bool wait, struct asker *k,
                     struct err *e)
{
    double now_ms = clock_ms();
    bool runs = a->machine.phase == PHASE_STARTING || a->machine.phase == PHASE_AWAKE;
    struct child *c = NULL;
    int listener;
    if (!check_update(a, s, e) || !open_listener(a, s, &listener, e))
        return false;
    if ((wait || runs) && !(c = start_child(a, s, environment, now_ms, e))) {
        if (listener >= 0)
            close(listener);
        return false;
    }
    a->update =
        (struct update){.child = c, .spec = *s, .environment = environment, .listener = listener, .asker = k};
    if (!c) {
        adopt_spec(a, now_ms);
        return true;
    }
    control_say(a, k,
                runs ? "starting the new server; the old one answers until it is loaded"
                     : "starting the server");
    write_state(a, false);
    return true;
}

void activator_forget_update(struct activator *a)
{
    activator_note(a, "WARNING", "update taken back: who asked for it is gone", NULL);
    a->update.asker = NULL;
    fail_update(a, "");
    write_state(a, false);
}

bool activator_sleep(struct activator *a, struct err *e)
{
    if (a->machine.in_flight > 0)
        return err_set(e, ERR_BUSY, "answering just now: %d", a->machine.in_flight);
    machine_sleep(&a->machine, clock_ms());
    a->put_to_sleep = true;
    return true;
}

/* --- the loop --- */

static void look_whether_loaded(struct activator *a, double now_ms)
{
    if (a->current && a->machine.phase == PHASE_STARTING) {
        child_ask(a->current, now_ms);
        if (a->current->ready) {
            machine_ready(&a->machine, now_ms);
            a->failure[0] = 0;
        }
    }
    if (a->update.child) {
        child_ask(a->update.child, now_ms);
        if (a->update.child->ready)
            adopt_spec(a, now_ms);
    }
}

static double stop_at(struct activator *a)
{
    return a->stopping_ms + MACHINE_KILL_MS;
}

void activator_stop(struct activator *a)
{
    double now_ms = clock_ms();
    if (a->stopping)
        return;
    activator_note(a, "INFO", "stopping", NULL);
    a->stopping = true;
    a->stopping_ms = now_ms;
    loop_drop(&a->loop, &a->listener);
    if (a->update.asker)
        fail_update(a, "the service is being stopped");
    if (a->current)
        retire(a, a->current);
    a->current = NULL;
    for (struct child *c = a->others; c; c = c->next)
        child_stop(c, now_ms);
    requests_stop(a, now_ms);
}

/* A second signal waits for nobody. */
static void signals_ready(struct watcher *w, uint32_t events)
{
    struct activator *a = (struct activator *)((char *)w - offsetof(struct activator, signals));
    struct signalfd_siginfo s;
    (void)events;
    while (read(w->fd, &s, sizeof s) == sizeof s) {
        if (s.ssi_signo == SIGCHLD)
            reap(a, clock_ms());
        else if (!a->stopping)
            activator_stop(a);
        else
            for (struct child *c = a->others; c; c = c->next)
                child_kill(c);
    }
}

static void listener_ready(struct watcher *w, uint32_t events)
{
    (void)events;
    requests_accept((struct activator *)((char *)w - offsetof(struct activator, listener)));
}

/* How long nothing can be due. */
static int timeout_ms(const struct activator *a, double now_ms)
{
    double next = a->stopping ? now_ms + LOOK_MS : machine_next_ms(&a->machine);
    bool looks = a->held || a->update.child || a->machine.phase == PHASE_STARTING;
    if (looks)
        next = fmin(next, now_ms + LOOK_MS);
    if (a->relays || a->others || !a->listening)
        next = fmin(next, now_ms + SWEEP_MS);
    if (isinf(next))
        return -1;
    return next <= now_ms ? 0 : (int)fmin(ceil(next - now_ms), 3600e3);
}

static void tick(struct activator *a)
{
    double now_ms = clock_ms();
    look_whether_loaded(a, now_ms);
    follow_orders(a, now_ms);
    requests_pass_held(a, now_ms);
    requests_sweep(a, now_ms);
    look_after_others(a, now_ms);
    requests_free_closed(a);
    control_free_closed(a);
}

/* Servers have ended, and what they said last is out, or has had its time. */
static bool is_over(struct activator *a)
{
    double now_ms = clock_ms();
    bool alive = false;
    if (!a->stopping)
        return false;
    for (struct child *c = a->others; c; c = c->next)
        alive = alive || !c->ended;
    return !alive && (!requests_pending(a) || now_ms > stop_at(a) + FLUSH_MS);
}

static bool take_signals(struct activator *a, struct err *e)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGCHLD);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    a->signals =
        (struct watcher){.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), .ready = signals_ready};
    return (a->signals.fd >= 0 && loop_watch(&a->loop, &a->signals, EPOLLIN)) || err_errno(e, "signalfd");
}

static bool begin(struct activator *a, const struct activator_options *o, struct err *e)
{
    requests_init(a);
    a->listening = loop_watch(&a->loop, &a->listener, EPOLLIN);
    bool ok = log_file_open(&a->log, a->home->folder, o->log_bytes, o->echo ? STDERR_FILENO : -1, e) &&
              take_signals(a, e) && control_open(a, e) &&
              home_write_json(a->home, "service.json", a->spec.json, e);
    if (!ok)
        return false;
    write_state(a, false);
    char url[SPEC_URL];
    activator_note(a, "INFO", "asleep until the first request",
                   json_pack("{s:s, s:s}", "url", spec_url(&a->spec, url), "model", a->spec.model));
    if (o->began)
        o->began(o->arg);
    return true;
}

static void end(struct activator *a)
{
    requests_close_all(a);
    for (struct child *c = a->others, *next; c; c = next) {
        next = c->next;
        child_free(c);
    }
    a->others = NULL;
    if (a->log.fd >= 0 && a->stopping) {
        write_state(a, true);
        activator_note(a, "INFO", "stopped", json_pack("{s:I}", "requests", (json_int_t)a->requests));
    }
    control_close(a);
    loop_drop(&a->loop, &a->listener);
    loop_drop(&a->loop, &a->signals);
    loop_close(&a->loop);
    log_file_close(&a->log);
    spec_clear(&a->spec);
    environment_free(a->environment);
}

bool activator_run(struct activator_options *o, struct err *e)
{
    struct activator a = {.home = o->home,
                          .spec = *o->spec,
                          .environment = o->environment,
                          .loop.epoll = -1,
                          .log.fd = -1,
                          .update.listener = -1,
                          .listener = {.fd = o->listener, .ready = listener_ready},
                          .control.fd = -1,
                          .signals.fd = -1};
    machine_init(&a.machine, a.spec.idle_seconds * 1e3, clock_ms());
    bool ok = loop_open(&a.loop, e) && begin(&a, o, e);
    while (ok && !is_over(&a)) {
        ok = loop_wait(&a.loop, timeout_ms(&a, clock_ms()), e);
        tick(&a);
    }
    end(&a);
    return ok;
}
