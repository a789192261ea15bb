#include "rows.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

int rows_cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    return CPU_COUNT(&set);
}

/* "model name	: AMD EPYC" */
static void cpu_name(char *out, size_t room)
{
    snprintf(out, room, "unknown CPU");
    FILE *f = fopen("/proc/cpuinfo", "r");
    if (!f)
        return;
    char line[256];
    while (fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon)
            continue;
        colon[1 + strcspn(colon + 1, "\n\"")] = '\0';
        snprintf(out, room, "%s", colon + 2);
        break;
    }
    fclose(f);
}

void rows_begin(struct rows *r, const char *program)
{
    char name[96];
    cpu_name(name, sizeof name);
    r->program = program;
    snprintf(r->machine, sizeof r->machine, "%s (%d CPUs)", name, rows_cpus());
    puts("date,machine,program,setting,value,unit,ratio,to");
    fflush(stdout);
}

static void print_start(const struct rows *r, const char *setting, double value, const char *unit)
{
    char date[32];
    time_t now = time(NULL);
    struct tm utc;
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    printf("%s,\"%s\",%s,%s,%.4g,%s,", date, r->machine, r->program, setting, value, unit);
}

void rows_value(const struct rows *r, const char *setting, double value, const char *unit)
{
    print_start(r, setting, value, unit);
    puts(",");
    fflush(stdout);
}

void rows_ratio(const struct rows *r, const char *setting, double value, const char *unit, double ratio,
                const char *to)
{
    print_start(r, setting, value, unit);
    printf("%.3f,%s\n", ratio, to);
    fflush(stdout);
}
