#include "target/local/loop.h"

#include <errno.h>
#include <unistd.h>

enum { EVENTS = 128 };

bool loop_open(struct loop *l, struct err *e)
{
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    return l->epoll >= 0 || err_errno(e, "epoll");
}

void loop_close(struct loop *l)
{
    if (l->epoll >= 0)
        close(l->epoll);
    l->epoll = -1;
}

bool loop_watch(struct loop *l, struct watcher *w, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = w};
    int what = !events ? EPOLL_CTL_DEL : w->added ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (w->events == events && (w->added || !events))
        return true;
    if ((w->added || events) && epoll_ctl(l->epoll, what, w->fd, &event) != 0)
        return false;
    w->added = events != 0;
    w->events = events;
    return true;
}

void loop_drop(struct loop *l, struct watcher *w)
{
    if (w->fd < 0)
        return;
    loop_watch(l, w, 0);
    close(w->fd);
    w->fd = -1;
}

bool loop_wait(struct loop *l, int timeout_ms, struct err *e)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(l->epoll, events, EVENTS, timeout_ms);
    if (n < 0 && errno != EINTR)
        return err_errno(e, "epoll");
    for (int i = 0; i < n; i++) {
        struct watcher *w = events[i].data.ptr;
        if (w->added)
            w->ready(w, events[i].events);
    }
    return true;
}
