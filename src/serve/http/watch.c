#include "serve/http/watch.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINGER_MS = 10000, LINGER_BYTES = 256 << 20, EVENTS = 64, READ_BYTES = 64 << 10 };

enum phase { CLOSED, FIRST_HEAD, NEXT_HEAD, BODY, WORK, LINGER };

struct socket_state {
    enum phase phase;
    double since_ms;
    size_t bytes; /* BODY: received; LINGER: read away */
    bool cut;     /* shut down already */
    void (*gone)(void *arg);
    void *arg;
};

struct watch {
    struct watch_limits limits;
    int epoll, wake; /* wake: an eventfd that ends the thread */
    int tick_ms;
    pthread_t thread;
    pthread_mutex_t mutex;        /* guards what follows */
    struct socket_state *sockets; /* [room], by descriptor */
    int room;
};

static struct socket_state *state_locked(struct watch *w, int fd)
{
    return fd >= 0 && fd < w->room && w->sockets[fd].phase != CLOSED ? &w->sockets[fd] : NULL;
}

static bool grow_locked(struct watch *w, int fd)
{
    if (fd < w->room)
        return true;
    int room = fd + fd / 2 + 64;
    struct socket_state *s = realloc(w->sockets, (size_t)room * sizeof *s);
    if (!s)
        return false;
    for (int i = w->room; i < room; i++)
        s[i] = (struct socket_state){.phase = CLOSED};
    w->sockets = s;
    w->room = room;
    return true;
}

static void enter_locked(struct watch *w, int fd, enum phase phase)
{
    struct socket_state *s = state_locked(w, fd);
    if (s)
        *s = (struct socket_state){.phase = phase, .since_ms = clock_ms(), .cut = s->cut};
}

static void enter(struct watch *w, int fd, enum phase phase)
{
    pthread_mutex_lock(&w->mutex);
    enter_locked(w, fd, phase);
    pthread_mutex_unlock(&w->mutex);
}

static bool listen_for(struct watch *w, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};
    return epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

static void stop_listening(struct watch *w, int fd)
{
    epoll_ctl(w->epoll, EPOLL_CTL_DEL, fd, NULL);
}

/* ---- the thread ---- */

/* An event may be older than the socket that has its number now: ask the socket itself. */
static bool hung_up(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLRDHUP};
    return poll(&p, 1, 0) == 1 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

static void tell_gone_locked(struct watch *w, int fd, struct socket_state *s)
{
    if (!s->gone || !hung_up(fd))
        return;
    stop_listening(w, fd);
    s->gone(s->arg);
    s->gone = NULL;
}

static void end_linger_locked(struct watch *w, int fd)
{
    stop_listening(w, fd);
    w->sockets[fd] = (struct socket_state){.phase = CLOSED};
    close(fd);
}

static void read_away_locked(struct watch *w, int fd, struct socket_state *s)
{
    char scratch[READ_BYTES];
    ssize_t n = recv(fd, scratch, sizeof scratch, MSG_DONTWAIT);
    if (n > 0)
        s->bytes += (size_t)n;
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) || s->bytes > LINGER_BYTES)
        end_linger_locked(w, fd);
}

static bool is_overdue(const struct watch *w, const struct socket_state *s, double now_ms)
{
    double seconds = (now_ms - s->since_ms) * 1e-3;
    switch (s->phase) {
    case FIRST_HEAD:
        return seconds > w->limits.head_seconds;
    case NEXT_HEAD:
        return seconds > w->limits.idle_seconds;
    case BODY:
        return seconds > w->limits.body_seconds + (double)s->bytes / WATCH_BODY_RATE;
    case LINGER:
        return seconds * 1e3 > LINGER_MS;
    case CLOSED:
    case WORK:
        break;
    }
    return false;
}

/* libmicrohttpd sees the end of a socket that is shut down here, and closes it. */
static void cut_overdue_locked(struct watch *w)
{
    double now = clock_ms();
    for (int fd = 0; fd < w->room; fd++) {
        struct socket_state *s = &w->sockets[fd];
        if (s->cut || !is_overdue(w, s, now))
            continue;
        if (s->phase == LINGER) {
            end_linger_locked(w, fd);
        } else {
            shutdown(fd, SHUT_RDWR);
            s->cut = true;
        }
    }
}

static void *run(void *arg)
{
    struct watch *w = arg;
    double next_tick = clock_ms() + w->tick_ms;
    for (;;) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(w->epoll, events, EVENTS, w->tick_ms);
        pthread_mutex_lock(&w->mutex);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            struct socket_state *s = state_locked(w, fd);
            if (fd == w->wake) {
                pthread_mutex_unlock(&w->mutex);
                return NULL;
            }
            if (s && s->phase == WORK)
                tell_gone_locked(w, fd, s);
            else if (s && s->phase == LINGER)
                read_away_locked(w, fd, s);
        }
        if (clock_ms() >= next_tick) {
            cut_overdue_locked(w);
            next_tick = clock_ms() + w->tick_ms;
        }
        pthread_mutex_unlock(&w->mutex);
    }
}

/* ---- the rest of the world ---- */

static int tick_of(const struct watch_limits *l)
{
    double least = l->head_seconds < l->body_seconds ? l->head_seconds : l->body_seconds;
    least = least < l->idle_seconds ? least : l->idle_seconds;
    return least > 4 ? 1000 : least > 0.04 ? (int)(least * 250) : 10;
}

static bool start(struct watch *w, struct err *e)
{
    w->epoll = epoll_create1(EPOLL_CLOEXEC);
    w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->epoll < 0 || w->wake < 0 || !listen_for(w, w->wake, EPOLLIN))
        return err_errno(e, "watch: epoll");
    pthread_mutex_init(&w->mutex, NULL);
    errno = pthread_create(&w->thread, NULL, run, w);
    return errno == 0 || err_errno(e, "watch: cannot start a thread");
}

static void close_descriptors(struct watch *w)
{
    if (w->epoll >= 0)
        close(w->epoll);
    if (w->wake >= 0)
        close(w->wake);
}

struct watch *watch_new(const struct watch_limits *l, struct err *e)
{
    struct watch *w = calloc(1, sizeof *w);
    if (!w) {
        err_set(e, ERR_MEMORY, "no memory to watch connections");
        return NULL;
    }
    w->limits = *l;
    w->tick_ms = tick_of(l);
    w->epoll = w->wake = -1;
    if (start(w, e))
        return w;
    close_descriptors(w);
    free(w);
    return NULL;
}

void watch_free(struct watch *w)
{
    if (!w)
        return;
    eventfd_write(w->wake, 1);
    pthread_join(w->thread, NULL);
    for (int fd = 0; fd < w->room; fd++) {
        if (w->sockets[fd].phase == LINGER)
            close(fd);
    }
    close_descriptors(w);
    pthread_mutex_destroy(&w->mutex);
    free(w->sockets);
    free(w);
}

bool watch_open(struct watch *w, int fd)
{
    pthread_mutex_lock(&w->mutex);
    bool ok = grow_locked(w, fd);
    if (ok)
        w->sockets[fd] = (struct socket_state){.phase = FIRST_HEAD, .since_ms = clock_ms()};
    pthread_mutex_unlock(&w->mutex);
    return ok;
}

void watch_close(struct watch *w, int fd)
{
    pthread_mutex_lock(&w->mutex);
    struct socket_state *s = state_locked(w, fd);
    if (s)
        s->phase = CLOSED;
    pthread_mutex_unlock(&w->mutex);
}

void watch_body(struct watch *w, int fd)
{
    enter(w, fd, BODY);
}

void watch_body_bytes(struct watch *w, int fd, size_t n)
{
    pthread_mutex_lock(&w->mutex);
    struct socket_state *s = state_locked(w, fd);
    if (s)
        s->bytes += n;
    pthread_mutex_unlock(&w->mutex);
}

void watch_idle(struct watch *w, int fd)
{
    enter(w, fd, NEXT_HEAD);
}

void watch_work(struct watch *w, int fd, void (*gone)(void *arg), void *arg)
{
    pthread_mutex_lock(&w->mutex);
    enter_locked(w, fd, WORK);
    struct socket_state *s = state_locked(w, fd);
    if (s && listen_for(w, fd, EPOLLRDHUP)) {
        s->gone = gone;
        s->arg = arg;
    }
    pthread_mutex_unlock(&w->mutex);
}

void watch_work_done(struct watch *w, int fd)
{
    pthread_mutex_lock(&w->mutex);
    struct socket_state *s = state_locked(w, fd);
    if (s && s->gone) {
        stop_listening(w, fd);
        s->gone = NULL;
    }
    pthread_mutex_unlock(&w->mutex);
}

void watch_linger(struct watch *w, int fd)
{
    pthread_mutex_lock(&w->mutex);
    if (grow_locked(w, fd) && listen_for(w, fd, EPOLLIN | EPOLLRDHUP)) {
        w->sockets[fd] = (struct socket_state){.phase = LINGER, .since_ms = clock_ms()};
        fd = -1;
    }
    pthread_mutex_unlock(&w->mutex);
    if (fd >= 0)
        close(fd);
}
