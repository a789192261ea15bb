/* activator_control.c: what the activator is asked over its Unix socket. */
#include "target/local/activator_parts.h"
#include "target/local/control.h"
#include "target/local/environment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BACKLOG = 16, FIRST_ROOM = 16 << 10 };

struct asker {
    struct watcher watcher;
    struct activator *activator;
    char *bytes; /* [room]: what has come */
    size_t size, room;
    bool applies; /* the environment of this request is still coming; bytes are those */
    struct control_request apply;
    struct asker *next;
    bool closed;
};

/* --- answers --- */

/* Small answers into a socket that nobody has filled: who does not read them gets no more of them. */
static void answer(struct asker *k, json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    if (text) {
        size_t size = strlen(text);
        text[size] = '\n';
        ssize_t sent = send(k->watcher.fd, text, size + 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        (void)sent;
    }
    free(text);
    json_decref(json);
}

void control_say(struct activator *a, struct asker *k, const char *line)
{
    (void)a;
    answer(k, json_pack("{s:s}", "say", line));
}

void control_done(struct activator *a, struct asker *k, const char *problem)
{
    if (problem)
        answer(k, json_pack("{s:b, s:s%}", "ok", 0, "problem", problem, strlen(problem)));
    else
        answer(k, json_pack("{s:b, s:o}", "ok", 1, "status", activator_status(a)));
}

static void close_asker(struct asker *k)
{
    struct activator *a = k->activator;
    if (k->closed)
        return;
    k->closed = true;
    loop_drop(&a->loop, &k->watcher);
    if (a->update.asker == k)
        activator_forget_update(a);
    for (struct asker **at = &a->askers; *at; at = &(*at)->next) {
        if (*at != k)
            continue;
        *at = k->next;
        break;
    }
    k->next = a->closed_askers;
    a->closed_askers = k;
}

void control_free_closed(struct activator *a)
{
    while (a->closed_askers) {
        struct asker *k = a->closed_askers;
        a->closed_askers = k->next;
        control_request_clear(&k->apply);
        free(k->bytes);
        free(k);
    }
}

/* --- requests --- */

static void apply(struct activator *a, struct asker *k)
{
    struct err e = {0};
    struct spec s;
    char **environment = environment_unpack(k->bytes, k->apply.environment_bytes);
    bool taken = spec_take(&s, k->apply.spec, &e);
    if (taken && !environment)
        err_set(&e, ERR_MEMORY, "the environment did not arrive whole");
    bool ok = taken && environment && activator_apply(a, &s, environment, k->apply.wait, k, &e);
    if (ok)
        return;
    spec_clear(&s);
    environment_free(environment);
    control_done(a, k, e.text);
}

static void take_request(struct asker *k, const char *line, size_t size)
{
    struct activator *a = k->activator;
    struct control_request q;
    struct err e = {0};
    if (!control_request_parse(&q, line, size, &e)) {
        control_done(a, k, e.text);
    } else if (q.verb == CONTROL_APPLY) {
        k->apply = q;
        k->applies = true;
    } else if (q.verb == CONTROL_SLEEP) {
        control_done(a, k, activator_sleep(a, &e) ? NULL : e.text);
    } else {
        control_done(a, k, NULL);
        if (q.verb == CONTROL_STOP)
            activator_stop(a);
    }
}

static void drop_bytes(struct asker *k, size_t n)
{
    memmove(k->bytes, k->bytes + n, k->size - n);
    k->size -= n;
}

/* True: there may be more to take. */
static bool take_bytes(struct asker *k)
{
    if (k->applies) {
        size_t environment = k->apply.environment_bytes;
        if (k->size < environment)
            return false;
        apply(k->activator, k);
        drop_bytes(k, environment);
        control_request_clear(&k->apply);
        k->applies = false;
        return true;
    }
    char *end = memchr(k->bytes, '\n', k->size);
    if (!end)
        return false;
    size_t line = (size_t)(end - k->bytes);
    take_request(k, k->bytes, line);
    drop_bytes(k, line + 1);
    return true;
}

static bool grow(struct asker *k)
{
    if (k->size < k->room)
        return true;
    size_t room = k->room ? k->room * 2 : FIRST_ROOM;
    char *bytes = k->size < CONTROL_MAX_LINE + (size_t)ENVIRONMENT_MAX_BYTES ? realloc(k->bytes, room) : NULL;
    if (!bytes)
        return false;
    k->bytes = bytes;
    k->room = room;
    return true;
}

static void asker_ready(struct watcher *w, uint32_t events)
{
    struct asker *k = (struct asker *)((char *)w - offsetof(struct asker, watcher));
    ssize_t n = grow(k) ? recv(w->fd, k->bytes + k->size, k->room - k->size, MSG_DONTWAIT) : 0;
    (void)events;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        close_asker(k);
        return;
    }
    k->size += (size_t)n;
    while (!k->closed && take_bytes(k))
        ;
}

/* --- the socket --- */

static bool is_own(int fd)
{
    struct ucred who;
    socklen_t size = sizeof who;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 && who.uid == geteuid();
}

static void control_ready(struct watcher *w, uint32_t events)
{
    struct activator *a = (struct activator *)((char *)w - offsetof(struct activator, control));
    int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC);
    (void)events;
    if (fd < 0)
        return;
    struct asker *k = is_own(fd) ? calloc(1, sizeof *k) : NULL;
    if (!k) {
        close(fd);
        return;
    }
    k->activator = a;
    k->watcher = (struct watcher){.fd = fd, .ready = asker_ready};
    k->next = a->askers;
    a->askers = k;
    if (!loop_watch(&a->loop, &k->watcher, EPOLLIN))
        close_asker(k);
}

bool control_open(struct activator *a, struct err *e)
{
    struct sockaddr_un address;
    home_control(a->home, &address);
    unlinkat(a->home->folder, "control", 0); /* of one that was killed: the lock says it is gone */
    mode_t before = umask(0177);
    a->control = (struct watcher){.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
                                  .ready = control_ready};
    bool ok = a->control.fd >= 0 && bind(a->control.fd, (struct sockaddr *)&address, sizeof address) == 0 &&
              listen(a->control.fd, BACKLOG) == 0 && loop_watch(&a->loop, &a->control, EPOLLIN);
    umask(before);
    return ok || err_errno(e, "%s/control", a->home->path);
}

void control_close(struct activator *a)
{
    while (a->askers)
        close_asker(a->askers);
    control_free_closed(a);
    if (a->control.fd >= 0)
        unlinkat(a->home->folder, "control", 0);
    loop_drop(&a->loop, &a->control);
}
