/* home.h: the folder of a local service (local.h says what lies in it). Any number of processes; what must
 * not happen twice is guarded by locks that the kernel drops with their process. */
#ifndef FERRY_TARGET_LOCAL_HOME_H
#define FERRY_TARGET_LOCAL_HOME_H

#include "target/local/spec.h"

#include <signal.h>
#include <stdbool.h>
#include <sys/un.h>

enum { HOME_PATH = 512 };

struct home {
    char path[HOME_PATH];
    int folder;
};

/* The folder of all services in out (HOME_PATH bytes). False with *e set: neither HOME nor XDG_STATE_HOME. */
bool home_root(char *out, struct err *e);

/* make: creates it. ERR_NOT_FOUND: there is no such service. */
bool home_open(struct home *p, const char *name, bool make, struct err *e);
void home_close(struct home *p);

/* Locks a file of it ("lock", "deploy.lock"), which is made. A descriptor that holds the lock; -1: somebody
 * else has it (ERR_BUSY), or *e says what. */
int home_lock(const struct home *p, const char *file, struct err *e);

/* The same, waiting for it until stop; waits, when not NULL, is called once if there is a wait. */
int home_lock_wait(const struct home *p, const char *file, const volatile sig_atomic_t *stop,
                   void (*waits)(void *arg), void *arg, struct err *e);

/* Whether somebody holds it. */
bool home_is_locked(const struct home *p, const char *file);

/* Replaces a file at once. */
bool home_write_json(const struct home *p, const char *file, const json_t *json, struct err *e);
json_t *home_read_json(const struct home *p, const char *file, struct err *e);

bool home_read_spec(const struct home *p, struct spec *s, struct err *e);

/* The address of its control socket, whose path may be longer than an address has room for. */
void home_control(const struct home *p, struct sockaddr_un *address);

/* Removes the folder and what Ferry has put there. */
bool home_remove(struct home *p, struct err *e);

/* --- processes --- */

/* A process that a number may not stand for any more: when it began (clock ticks since boot). */
struct process {
    long pid;
    unsigned long long begun;
};

/* 0 where there is none of that number. */
unsigned long long process_begun(long pid);
bool process_is_alive(const struct process *p);

#endif
