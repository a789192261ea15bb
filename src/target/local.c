#include "target/local.h"

#include "base/listen.h"
#include "base/stop.h"
#include "target/local/control.h"
#include "target/local/environment.h"
#include "target/local/launch.h"
#include "target/local/logs.h"
#include "target/local/memory_limit.h"
#include "target/local/status.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { USUAL_PORT = 8080, TRIES = 10, END_MS = 10000, LOOK_MS = 20 };

static const char lock_file[] = "lock", deploy_lock[] = "deploy.lock";

static void say(struct target_run *r, const char *line)
{
    if (r->say)
        r->say(r->arg, line);
}

/* --- the folder, for one at a time --- */

/* A service's folder, and the right to change what is in it. */
struct hold {
    struct home home;
    int lock;
};

static void tell_wait(void *arg)
{
    say(arg, "another deploy or down of this service is under way; waiting for it");
}

static bool still_there(const struct home *p)
{
    struct stat mine, now;
    return fstat(p->folder, &mine) == 0 && stat(p->path, &now) == 0 && mine.st_ino == now.st_ino;
}

static void let_go(struct hold *h)
{
    if (h->lock >= 0)
        close(h->lock);
    h->lock = -1;
    home_close(&h->home);
}

/* The folder may be removed, and made again, by who was waited for. */
static bool take_hold(struct hold *h, struct target_run *r, const char *name, bool make, struct err *e)
{
    for (int i = 0; i < TRIES; i++) {
        struct err problem = {0};
        h->lock = -1;
        if (!home_open(&h->home, name, make, e))
            return false;
        h->lock = home_lock_wait(&h->home, deploy_lock, r->stop, tell_wait, r, &problem);
        if (h->lock >= 0 && still_there(&h->home))
            return true;
        bool there = still_there(&h->home);
        let_go(h);
        if (there) {
            *e = problem;
            return false;
        }
    }
    return err_set(e, ERR_BUSY, "its folder comes and goes; try again");
}

/* --- what a dead activator has left --- */

static bool wait_for_end(const struct process *p, const volatile sig_atomic_t *stop)
{
    for (int ms = 0; process_is_alive(p) && ms < END_MS && !stop_wanted(stop); ms += LOOK_MS)
        nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000000}, NULL);
    return !process_is_alive(p);
}

static bool end_process(const struct process *p, const volatile sig_atomic_t *stop)
{
    if (!process_is_alive(p))
        return true;
    kill((pid_t)p->pid, SIGTERM);
    if (wait_for_end(p, stop))
        return true;
    if (process_is_alive(p))
        kill((pid_t)p->pid, SIGKILL);
    return wait_for_end(p, NULL);
}

static bool clean_up(struct target_run *r, const struct home *p, struct err *e)
{
    struct err none = {0};
    json_t *state = home_read_json(p, "state.json", &none), *server;
    bool ok = true;
    size_t i;
    json_array_foreach(json_object_get(state, "servers"), i, server)
    {
        struct memory_limit group = {0};
        struct process process = {
            .pid = (long)json_integer_value(json_object_get(server, "pid")),
            .begun = (unsigned long long)json_integer_value(json_object_get(server, "begun"))};
        const char *folder = json_string_value(json_object_get(server, "group"));
        if (!end_process(&process, r->stop))
            ok = err_set(e, ERR_IO, "process %ld, a server that its activator left, does not end",
                         process.pid);
        if (folder && strlen(folder) < sizeof group.folder)
            strcpy(group.folder, folder);
        memory_limit_remove(&group);
    }
    json_decref(state);
    return ok;
}

/* The activator's own lock, when none lives; one that is just ending is waited for. */
static int take_lock(struct target_run *r, const struct home *p, struct err *e)
{
    int lock = home_lock_wait(p, lock_file, r->stop, NULL, NULL, e);
    if (lock >= 0 && clean_up(r, p, e))
        return lock;
    if (lock >= 0)
        close(lock);
    return -1;
}

/* --- apply --- */

static const char *own_program(struct arena *a, struct err *e)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path);
    if (n <= 0 || n == sizeof path) {
        err_errno(e, "cannot tell which program this is");
        return NULL;
    }
    return arena_strndup(a, path, (size_t)n);
}

static json_t *environment_json(const char *const *environment)
{
    json_t *list = json_array();
    for (; environment && *environment; environment++)
        json_array_append_new(list, json_string(*environment));
    return list;
}

/* port: of the old spec; 0: there is none. */
static bool make_spec(struct target_run *r, const struct target_spec *t, int port, struct spec *s,
                      struct err *e)
{
    const struct local_options *o = t->local;
    const char *program = o->program ? o->program : own_program(r->arena, e);
    if (!program)
        return false;
    json_t *json =
        json_pack("{s:s, s:s, s:s, s:s, s:i, s:f, s:I, s:o}", "name", t->name, "model", t->model, "program",
                  program, "host", o->host, "port", o->port == LOCAL_PORT_CHOOSE ? port : o->port,
                  "idle_seconds", o->idle_seconds, "memory_bytes", (json_int_t)o->memory_bytes, "environment",
                  environment_json(t->environment));
    bool ok = json ? spec_take(s, json, e) || err_wrap(e, "what is to be deployed")
                   : err_set(e, ERR_USAGE, "the model's or another name is not UTF-8");
    json_decref(json);
    return ok;
}

static int old_port(const struct home *p)
{
    struct spec s;
    struct err none = {0};
    int port = home_read_spec(p, &s, &none) ? s.port : 0;
    spec_clear(&s);
    return port;
}

/* The port that is asked for; where none is, the one it had, else the usual one, else any. */
static int open_port(const struct local_options *o, struct spec *s, struct err *e)
{
    struct err taken = {0};
    bool choose = o->port == LOCAL_PORT_CHOOSE && s->port == 0;
    int port = choose ? USUAL_PORT : s->port;
    int fd = listen_on(s->host, &port, choose ? &taken : e);
    if (fd < 0 && choose) {
        port = 0;
        fd = listen_on(s->host, &port, e);
    }
    if (fd < 0) {
        err_wrap(e, "--port takes another");
        return -1;
    }
    s->port = port;
    json_object_set_new(s->json, "port", json_integer(port));
    return fd;
}

static json_t *ask_apply(struct target_run *r, const struct home *p, const struct spec *s, bool wait,
                         struct err *e)
{
    size_t size;
    char *bytes = environment_pack(environ, &size);
    int fd = control_connect(p, e);
    json_t *answer = NULL;
    json_t *request = json_pack("{s:s, s:O, s:b, s:I}", "do", "apply", "spec", s->json, "wait", wait,
                                "environment_bytes", (json_int_t)size);
    if (bytes && fd >= 0)
        answer = control_ask(fd, request, bytes, size, r->stop, r->say, r->arg, e);
    json_decref(request);
    free(bytes);
    return answer;
}

/* An activator lives. */
static bool update(struct target_run *r, const struct home *p, const struct target_spec *t,
                   struct target_service *out, struct err *e)
{
    struct spec s;
    if (t->local->foreground)
        return err_set(e, ERR_BUSY, "it runs already; `ferry down %s` first", t->name);
    if (!make_spec(r, t, old_port(p), &s, e))
        return false;
    json_t *answer = ask_apply(r, p, &s, t->local->wait, e);
    spec_clear(&s);
    bool ok = answer && status_read(r, p, json_object_get(answer, "status"), out, e);
    json_decref(answer);
    return ok;
}

/* In the foreground: others may deploy and take down from now on. */
static void tell_foreground(void *arg)
{
    struct hold *h = arg;
    close(h->lock);
    h->lock = -1;
}

static bool start(struct target_run *r, struct hold *h, const struct target_spec *t, struct err *e)
{
    struct spec s;
    size_t size;
    int lock = take_lock(r, &h->home, e);
    if (lock < 0)
        return false;
    if (!make_spec(r, t, old_port(&h->home), &s, e)) {
        close(lock);
        return false;
    }
    char *bytes = environment_pack(environ, &size);
    struct activator_options o = {.home = &h->home,
                                  .spec = &s,
                                  .environment = bytes ? environment_unpack(bytes, size) : NULL,
                                  .listener = open_port(t->local, &s, e),
                                  .echo = t->local->foreground,
                                  .began = tell_foreground,
                                  .arg = h};
    free(bytes);
    if (o.listener < 0 || !o.environment) {
        environment_free(o.environment);
        spec_clear(&s);
        close(lock);
        return o.listener < 0 ? false : err_set(e, ERR_MEMORY, "no memory for the environment");
    }
    if (!t->local->foreground)
        return launch_activator(&o, lock, h->lock, e);
    bool ok = activator_run(&o, e);
    close(lock);
    return ok;
}

static bool remove_service(struct target_run *r, struct hold *h, struct err *e);

/* A first deploy that fails leaves nothing. */
static bool start_and_wait(struct target_run *r, struct hold *h, const struct target_spec *t,
                           struct target_service *out, struct err *e)
{
    struct err problem = {0};
    if (!start(r, h, t, e))
        return false;
    if (t->local->foreground)
        return true;
    if (!t->local->wait)
        return status_read(r, &h->home, NULL, out, e);
    if (update(r, &h->home, t, out, e))
        return true;
    remove_service(r, h, &problem);
    return false;
}

static bool apply(struct target_run *r, const struct target_spec *t, struct target_service *out,
                  struct err *e)
{
    struct hold h;
    struct err none = {0};
    if (!take_hold(&h, r, t->name, true, e))
        return false;
    int fd = control_connect(&h.home, &none);
    bool lives = fd >= 0, ok;
    if (lives)
        close(fd);
    bool fresh = !lives && old_port(&h.home) == 0;
    ok = lives ? update(r, &h.home, t, out, e) : start_and_wait(r, &h, t, out, e);
    if (!ok && fresh)
        home_remove(&h.home, &none); /* of what was not there before nothing stays */
    let_go(&h);
    return ok;
}

/* --- destroy --- */

static bool ask_to_stop(struct target_run *r, const struct home *p, struct err *e)
{
    struct err problem = {0};
    int fd = control_connect(p, &problem);
    if (fd < 0)
        return problem.kind == ERR_NOT_FOUND || (*e = problem, false);
    json_t *request = json_pack("{s:s}", "do", "stop");
    json_t *answer = control_ask(fd, request, NULL, 0, r->stop, NULL, NULL, &problem);
    bool ok = answer || problem.kind == ERR_TRANSIENT; /* it was ending already */
    if (!ok)
        *e = problem;
    json_decref(request);
    json_decref(answer);
    return ok;
}

static bool remove_service(struct target_run *r, struct hold *h, struct err *e)
{
    if (!ask_to_stop(r, &h->home, e))
        return false;
    int lock = take_lock(r, &h->home, e); /* free once the activator, which ends its servers, has ended */
    if (lock < 0)
        return false;
    bool ok = home_remove(&h->home, e);
    close(lock);
    return ok;
}

static bool destroy(struct target_run *r, const char *name, struct err *e)
{
    struct hold h;
    if (!take_hold(&h, r, name, false, e))
        return false;
    bool ok = remove_service(r, &h, e);
    let_go(&h);
    return ok;
}

/* --- sleep --- */

static json_t *ask_for(struct target_run *r, const struct home *p, const char *what, struct err *e)
{
    int fd = control_connect(p, e);
    json_t *request = json_pack("{s:s}", "do", what);
    json_t *answer = fd >= 0 ? control_ask(fd, request, NULL, 0, r->stop, NULL, NULL, e) : NULL;
    json_decref(request);
    return answer;
}

/* 1: it is; 0: not yet; -1 with *e set. */
static int is_asleep(struct target_run *r, const struct home *p, struct err *e)
{
    json_t *answer = ask_for(r, p, "status", e);
    const char *state = json_string_value(json_object_get(json_object_get(answer, "status"), "state"));
    int result = !answer ? -1 : state && strcmp(state, "asleep") == 0;
    json_decref(answer);
    return result;
}

static bool wait_asleep(struct target_run *r, const struct home *p, struct err *e)
{
    for (int ms = 0; ms <= END_MS + 2000; ms += LOOK_MS) {
        int asleep = is_asleep(r, p, e);
        if (asleep)
            return asleep > 0;
        if (stop_wanted(r->stop))
            return err_set(e, ERR_CANCELLED, "interrupted");
        nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000000}, NULL);
    }
    return err_set(e, ERR_BUSY, "its server does not stop");
}

static bool sleep_now(struct target_run *r, const char *name, struct err *e)
{
    struct home p;
    if (!home_open(&p, name, false, e))
        return false;
    json_t *answer = ask_for(r, &p, "sleep", e);
    bool ok = answer && wait_asleep(r, &p, e);
    home_close(&p);
    json_decref(answer);
    return ok;
}

/* --- status, logs --- */

static bool logs(struct target_run *r, const char *name, const struct target_log_options *o,
                 target_line_fn line, void *arg, struct err *e)
{
    struct home p;
    if (!home_open(&p, name, false, e))
        return false;
    bool ok = logs_read(r, &p, o, line, arg, e);
    home_close(&p);
    return ok;
}

const struct target target_local = {
    .name = "local",
    .apply = apply,
    .status = status_each,
    .logs = logs,
    .sleep = sleep_now,
    .destroy = destroy,
};
