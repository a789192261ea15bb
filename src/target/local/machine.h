/* machine.h: when the server behind a port is started and stopped. Arithmetic only: time is an argument (ms
 * of a monotonic clock), and what is to be done comes back as an order.
 *
 *   ASLEEP    no server; the first request orders a start and is held
 *   STARTING  a server exists and takes requests (it holds them itself), but has not loaded yet
 *   AWAKE     loaded
 *   STOPPING  told to end, because nobody has asked for idle_ms; requests are held, then start a new one
 *   FAILED    a start failed, or it crashed. Requests are refused until retry_ms, then the next one starts it
 *             again. After a crash in use it is started again without one: at once the first time
 *
 * Requests are counted from their head to the end of their answer; probes are not told to the machine. */
#ifndef FERRY_TARGET_LOCAL_MACHINE_H
#define FERRY_TARGET_LOCAL_MACHINE_H

#include <stdbool.h>

enum phase { PHASE_ASLEEP, PHASE_STARTING, PHASE_AWAKE, PHASE_STOPPING, PHASE_FAILED };
enum order { ORDER_NONE, ORDER_START, ORDER_STOP, ORDER_KILL };
enum admission { ADMIT_FORWARD, ADMIT_HOLD, ADMIT_REFUSE };

enum {
    MACHINE_FIRST_RETRY_MS = 1000, /* doubled with each failure in a row */
    MACHINE_LAST_RETRY_MS = 60000,
    MACHINE_STEADY_MS = 60000, /* awake for so long: what failed before is forgotten */
    MACHINE_KILL_MS = 10000,   /* from SIGTERM to SIGKILL, as Cloud Run does it */
};

struct machine {
    enum phase phase;
    double since_ms; /* of the phase */
    double idle_ms;
    int in_flight;
    double last_use_ms;
    int failures; /* in a row */
    double retry_ms;
    bool crashed; /* FAILED: it was awake before */
    bool killed;  /* STOPPING: SIGKILL was ordered */
};

void machine_init(struct machine *m, double idle_ms, double now_ms);

/* A request came. When it is not refused, machine_over must follow. */
enum admission machine_request(struct machine *m, double now_ms);
void machine_over(struct machine *m, double now_ms);

/* What happened to the server that was ordered. */
void machine_ready(struct machine *m, double now_ms);
void machine_ended(struct machine *m, double now_ms);

/* The next thing to do; ORDER_NONE when there is none now. The state already assumes that it is done. */
enum order machine_tick(struct machine *m, double now_ms);

/* When to call machine_tick again, if nothing happens before; INFINITY: never. */
double machine_next_ms(const struct machine *m);

/* Another server, which is loaded, has taken the place of whatever was there. */
void machine_replaced(struct machine *m, double now_ms);

/* As if nobody had asked for idle_ms: a server that answers nobody is stopped with the next tick. */
void machine_sleep(struct machine *m, double now_ms);

/* What failed counts no more: the next request may start a server at once. Only ASLEEP and FAILED. */
void machine_forgive(struct machine *m, double now_ms);

/* Seconds until a refused request may come again, at least 1. */
int machine_retry_seconds(const struct machine *m, double now_ms);

const char *machine_phase_name(enum phase p);

#endif
