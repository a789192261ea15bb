#include "model/memory_room.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *path, *label; /* label: what the line begins with, if anything */
    uint64_t unit;
} sources[] = {
    {"/proc/meminfo", "MemAvailable:", 1024},
    {"/sys/fs/cgroup/memory.max", "", 1}, /* "max" without a limit: no number, so no source */
    {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "", 1},
};

/* UINT64_MAX when the file or a line with a number is not there. */
static uint64_t read_number(const char *path, const char *label)
{
    char line[256];
    uint64_t n = UINT64_MAX;
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, label, strlen(label)) == 0 && sscanf(line + strlen(label), "%" SCNu64, &n) == 1)
            break;
    if (f)
        fclose(f);
    return n;
}

uint64_t memory_room(void)
{
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        uint64_t n = read_number(sources[i].path, sources[i].label);
        if (n < UINT64_MAX / sources[i].unit && n * sources[i].unit < least)
            least = n * sources[i].unit;
    }
    return least;
}
