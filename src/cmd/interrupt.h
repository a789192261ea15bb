/* interrupt.h: Ctrl-C, twice: the first asks to stop, the second ends the process. */
#ifndef FERRY_CMD_INTERRUPT_H
#define FERRY_CMD_INTERRUPT_H

#include <signal.h>
#include <stdbool.h>

/* From now on the first SIGINT or SIGTERM makes *flag nonzero and the second ends the process. Where SIGINT
 * was ignored from the start (nohup, a shell's background jobs) it stays so. */
const volatile sig_atomic_t *interrupt_watch(void);

/* Signals act again as they did before interrupt_watch, for a program that takes this one's place. False when
 * one has come since. */
bool interrupt_release(void);

/* Ends the process by the signal that came (SIGINT when none did), so that a calling shell stops too. */
void interrupt_die(void);

#endif
