#include "cmd/cores.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CPUS = 8192 };

/* CPUs in the affinity mask; 1 when the kernel does not say. */
static int cores_of_mask(void)
{
    size_t size = CPU_ALLOC_SIZE(MAX_CPUS);
    cpu_set_t *set = CPU_ALLOC(MAX_CPUS);
    int n = 1;
    if (set && sched_getaffinity(0, size, set) == 0)
        n = CPU_COUNT_S(size, set);
    CPU_FREE(set);
    return n;
}

int cores_of_quota(const char *cpu_max, int cores)
{
    long long quota, period;
    if (sscanf(cpu_max, "%lld %lld", &quota, &period) != 2 || quota <= 0 || period <= 0)
        return cores;
    long long n = quota / period + (quota % period != 0);
    return n < cores ? (int)n : cores;
}

static void read_line(const char *path, char *line, size_t room)
{
    FILE *f = fopen(path, "re");
    line[0] = 0;
    if (f && fgets(line, (int)room, f))
        line[strcspn(line, "\n")] = 0;
    if (f)
        fclose(f);
}

int cores_allowed(void)
{
    char v2[64], quota[32], period[32], v1[80];
    int cores = cores_of_mask();

    read_line("/sys/fs/cgroup/cpu.max", v2, sizeof v2);
    read_line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", quota, sizeof quota);
    read_line("/sys/fs/cgroup/cpu/cpu.cfs_period_us", period, sizeof period);
    snprintf(v1, sizeof v1, "%s %s", quota, period);
    return cores_of_quota(v1, cores_of_quota(v2, cores));
}
