/* child.h: one `ferry serve` behind an activator. Its socket is made here and handed over as systemd does it
 * (LISTEN_FDS), so that it takes connections from the first moment; it ends with its activator, however that
 * ends. One thread, the loop's. */
#ifndef FERRY_TARGET_LOCAL_CHILD_H
#define FERRY_TARGET_LOCAL_CHILD_H

#include "target/local/log_file.h"
#include "target/local/loop.h"
#include "target/local/memory_limit.h"
#include "target/local/spec.h"

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

enum { CHILD_WHY = 600 };

struct child {
    pid_t pid;
    struct loop *loop;
    struct log_file *log;
    struct sockaddr_un address; /* abstract: the kernel's choice, nothing left behind */
    socklen_t address_size;
    struct memory_limit limit;
    char limit_note[300]; /* why there is no limit although one was asked for */
    double started_ms;

    struct watcher output; /* its stdout and stderr */
    char line[8192];
    size_t line_size;
    char problem[500]; /* its last line that is no log event, or the message of an error's */

    struct watcher asking; /* GET /readyz; fd -1: not now */
    double asked_ms;
    bool ready; /* it has answered 200 */

    int users;    /* the owner's: requests on it */
    bool stopped; /* SIGTERM was sent */
    double stopped_ms;
    bool killed;
    bool ended;         /* reaped */
    int status;         /* of waitpid */
    struct child *next; /* the owner's */
};

/* environment: of the process, ends with NULL; what spec says of it comes first. number: of all its children,
 * for the control group's name. NULL with *e set. */
struct child *child_start(const struct spec *s, char *const *environment, int number, struct loop *l,
                          struct log_file *log, double now_ms, struct err *e);

/* Ended or not: it is killed then. */
void child_free(struct child *c);

/* A connection to it, which it may take later. -1: its queue is full (EAGAIN), or it is gone. */
int child_connect(const struct child *c);

void child_stop(struct child *c, double now_ms); /* SIGTERM, once */
void child_kill(struct child *c);

/* Whether it has ended; takes in what it said last. */
bool child_reap(struct child *c);

/* Asks whether it is loaded, when it is time for that; c->ready says so, later. */
void child_ask(struct child *c, double now_ms);
enum { CHILD_ASK_MS = 20 };

/* How it ended, and what it said: "it ended with code 1: no memory", "it was killed (signal 9) …". */
void child_why(const struct child *c, char out[CHILD_WHY]);

/* Resident bytes; 0: unknown. */
uint64_t child_memory(const struct child *c);

#endif
