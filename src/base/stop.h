/* stop.h: a flag that says "enough": set by a signal handler or another thread, looked at by all who wait. */
#ifndef FERRY_BASE_STOP_H
#define FERRY_BASE_STOP_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

/* NULL: nobody can ask. */
static inline bool stop_wanted(const volatile sig_atomic_t *stop)
{
    return stop && __atomic_load_n(stop, __ATOMIC_RELAXED) != 0;
}

/* From a thread. A signal handler may write `*stop = 1` as well. */
static inline void stop_ask(volatile sig_atomic_t *stop)
{
    __atomic_store_n(stop, 1, __ATOMIC_RELAXED);
}

#endif
