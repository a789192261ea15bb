/* loop.h: one thread that waits for many descriptors (epoll, level-triggered).
 *
 * A watcher is part of what owns the descriptor. It may be removed from within any ready function, also of
 * another watcher: what was still to be told of it is not told; its memory must stay until loop_wait returns.
 */
#ifndef FERRY_TARGET_LOCAL_LOOP_H
#define FERRY_TARGET_LOCAL_LOOP_H

#include "base/err.h"

#include <stdint.h>
#include <sys/epoll.h>

struct loop {
    int epoll;
};

struct watcher {
    int fd; /* -1: none */
    uint32_t events;
    bool added;
    void (*ready)(struct watcher *w, uint32_t events);
};

bool loop_open(struct loop *l, struct err *e);
void loop_close(struct loop *l);

/* What to wait for from now on. 0: not even for hang-ups, which epoll else tells always. False: no memory. */
bool loop_watch(struct loop *l, struct watcher *w, uint32_t events);

/* Takes it out and closes the descriptor. A watcher without one is fine. */
void loop_drop(struct loop *l, struct watcher *w);

/* Waits until something is ready or the time is over (ms; negative: no end), and tells what is. */
bool loop_wait(struct loop *l, int timeout_ms, struct err *e);

#endif
