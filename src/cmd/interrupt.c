#include "cmd/interrupt.h"

#include <stddef.h>

static volatile sig_atomic_t interrupted; /* the one thing a signal handler can write to */

static void interrupt(int signal_number)
{
    __atomic_store_n(&interrupted, signal_number, __ATOMIC_RELAXED); /* it may run on any thread */
}

static void watch(int signal_number)
{
    struct sigaction before, a = {.sa_handler = interrupt, .sa_flags = (int)SA_RESETHAND};
    if (sigaction(signal_number, NULL, &before) != 0 || before.sa_handler != SIG_IGN)
        sigaction(signal_number, &a, NULL);
}

const volatile sig_atomic_t *interrupt_watch(void)
{
    watch(SIGINT);
    watch(SIGTERM);
    return &interrupted;
}

static void release(int signal_number)
{
    struct sigaction now;
    if (sigaction(signal_number, NULL, &now) == 0 && now.sa_handler == interrupt)
        signal(signal_number, SIG_DFL);
}

bool interrupt_release(void)
{
    release(SIGINT);
    release(SIGTERM);
    return interrupted == 0;
}

void interrupt_die(void)
{
    int number = interrupted ? interrupted : SIGINT;
    signal(number, SIG_DFL);
    raise(number);
}
