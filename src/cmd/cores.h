/* cores.h: how many cores this process may really use. */
#ifndef FERRY_CMD_CORES_H
#define FERRY_CMD_CORES_H

/* The CPUs of the affinity mask, or fewer when the container has a CPU quota (cgroup v2 cpu.max, v1
 * cpu.cfs_quota_us), rounded up. At least 1. */
int cores_allowed(void);

/* The same from what cpu.max says ("200000 100000", "max 100000"; anything else: no quota). */
int cores_of_quota(const char *cpu_max, int cores);

#endif
