#include "target/local/machine.h"

#include <math.h>

static void enter(struct machine *m, enum phase p, double now_ms)
{
    m->phase = p;
    m->since_ms = now_ms;
    m->killed = false;
}

void machine_init(struct machine *m, double idle_ms, double now_ms)
{
    *m = (struct machine){.idle_ms = idle_ms, .last_use_ms = now_ms};
    enter(m, PHASE_ASLEEP, now_ms);
}

enum admission machine_request(struct machine *m, double now_ms)
{
    bool running = m->phase == PHASE_STARTING || m->phase == PHASE_AWAKE;
    if (m->phase == PHASE_FAILED && now_ms < m->retry_ms)
        return ADMIT_REFUSE;
    m->in_flight++;
    return running ? ADMIT_FORWARD : ADMIT_HOLD;
}

void machine_over(struct machine *m, double now_ms)
{
    m->in_flight--;
    m->last_use_ms = now_ms;
}

void machine_ready(struct machine *m, double now_ms)
{
    if (m->phase == PHASE_STARTING)
        enter(m, PHASE_AWAKE, now_ms);
}

static double retry_delay_ms(int failures)
{
    return failures < 1 ? 0 : fmin(ldexp(MACHINE_FIRST_RETRY_MS, failures - 1), MACHINE_LAST_RETRY_MS);
}

/* A server that has loaded once deserves another try at once; one that does not load does not. */
static void fail(struct machine *m, double now_ms)
{
    m->crashed = m->phase == PHASE_AWAKE;
    if (m->crashed && now_ms - m->since_ms >= MACHINE_STEADY_MS)
        m->failures = 0;
    m->failures++;
    m->retry_ms = now_ms + retry_delay_ms(m->crashed ? m->failures - 1 : m->failures);
    enter(m, PHASE_FAILED, now_ms);
}

void machine_ended(struct machine *m, double now_ms)
{
    if (m->phase == PHASE_STOPPING) {
        m->failures = 0;
        enter(m, PHASE_ASLEEP, now_ms);
    } else if (m->phase == PHASE_STARTING || m->phase == PHASE_AWAKE) {
        fail(m, now_ms);
    }
}

static double idle_until_ms(const struct machine *m)
{
    return m->in_flight > 0 ? INFINITY : m->last_use_ms + m->idle_ms;
}

/* FAILED: whether a start is due without a request, since it was in use. */
static bool restarts(const struct machine *m)
{
    return m->crashed && m->retry_ms < idle_until_ms(m);
}

static enum order start(struct machine *m, double now_ms)
{
    enter(m, PHASE_STARTING, now_ms);
    return ORDER_START;
}

static enum order tick_running(struct machine *m, double now_ms)
{
    if (now_ms < idle_until_ms(m))
        return ORDER_NONE;
    enter(m, PHASE_STOPPING, now_ms);
    return ORDER_STOP;
}

static enum order tick_stopping(struct machine *m, double now_ms)
{
    if (m->killed || now_ms < m->since_ms + MACHINE_KILL_MS)
        return ORDER_NONE;
    m->killed = true;
    return ORDER_KILL;
}

enum order machine_tick(struct machine *m, double now_ms)
{
    switch (m->phase) {
    case PHASE_ASLEEP:
        return m->in_flight > 0 ? start(m, now_ms) : ORDER_NONE;
    case PHASE_STARTING:
    case PHASE_AWAKE:
        return tick_running(m, now_ms);
    case PHASE_STOPPING:
        return tick_stopping(m, now_ms);
    case PHASE_FAILED:
        return now_ms >= m->retry_ms && (m->in_flight > 0 || restarts(m)) ? start(m, now_ms) : ORDER_NONE;
    }
    return ORDER_NONE;
}

double machine_next_ms(const struct machine *m)
{
    switch (m->phase) {
    case PHASE_ASLEEP:
        return m->in_flight > 0 ? m->since_ms : INFINITY;
    case PHASE_STARTING:
    case PHASE_AWAKE:
        return idle_until_ms(m);
    case PHASE_STOPPING:
        return m->killed ? INFINITY : m->since_ms + MACHINE_KILL_MS;
    case PHASE_FAILED:
        return m->in_flight > 0 || restarts(m) ? m->retry_ms : INFINITY;
    }
    return INFINITY;
}

void machine_replaced(struct machine *m, double now_ms)
{
    m->failures = 0;
    m->last_use_ms = now_ms;
    enter(m, PHASE_AWAKE, now_ms);
}

void machine_sleep(struct machine *m, double now_ms)
{
    m->last_use_ms = now_ms - m->idle_ms;
}

void machine_forgive(struct machine *m, double now_ms)
{
    if (m->phase != PHASE_FAILED)
        return;
    m->failures = 0;
    enter(m, PHASE_ASLEEP, now_ms);
}

int machine_retry_seconds(const struct machine *m, double now_ms)
{
    double left_ms = m->phase == PHASE_FAILED ? m->retry_ms - now_ms : 0;
    return left_ms > 1000 ? (int)ceil(left_ms * 1e-3) : 1;
}

const char *machine_phase_name(enum phase p)
{
    static const char *const names[] = {"asleep", "starting", "awake", "stopping", "failed"};
    return names[p];
}
