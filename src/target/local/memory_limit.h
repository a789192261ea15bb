/* memory_limit.h: a limit of memory for one process, by a control group of its own, which counts what a
 * process really takes, mapped files included (RLIMIT_AS would count addresses, of which a mapped model has
 * many that cost nothing). Of version 2, or of version 1 where the system still has that; written directly,
 * beneath the group of this process or beside it, as far as this account may. */
#ifndef FERRY_TARGET_LOCAL_MEMORY_LIMIT_H
#define FERRY_TARGET_LOCAL_MEMORY_LIMIT_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct memory_limit {
    char folder[512]; /* of the group; "": none */
    bool old;         /* version 1 */
};

/* Makes a group of that name. What this very process's groups are: /proc/self/cgroup and mountinfo. False
 * with *e set: why there is no limit. */
bool memory_limit_make(struct memory_limit *m, const char *name, uint64_t bytes, struct err *e);

/* Puts a process (0: the calling one) into it. Between fork and exec, too: it allocates nothing. */
bool memory_limit_enter(const struct memory_limit *m, pid_t pid);

/* How often the kernel has killed in it because of the limit. */
int memory_limit_kills(const struct memory_limit *m);

/* When no process is in it any more. A zeroed one is fine. */
void memory_limit_remove(struct memory_limit *m);

/* Where in text (as in /proc/self/cgroup and /proc/self/mountinfo) groups of memory lie: this process's own
 * folder. False: nowhere. */
bool memory_limit_find(const char *groups, const char *mounts, char *folder, size_t room, bool *old);

#endif
