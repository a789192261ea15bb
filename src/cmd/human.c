#include "cmd/human.h"

#include <stdio.h>
#include <time.h>

const char *human_bytes(uint64_t bytes, char out[HUMAN_TEXT])
{
    static const char *const units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
    double value = (double)bytes / 1000;
    int unit = 0;

    if (bytes < 1000) {
        snprintf(out, HUMAN_TEXT, "%d B", (int)bytes);
        return out;
    }
    while (value >= 999.5 && unit < 5)
        value /= 1000, unit++;
    snprintf(out, HUMAN_TEXT, "%.*f %s", value < 9.995 ? 2 : value < 99.95 ? 1 : 0, value, units[unit]);
    return out;
}

const char *human_seconds(double seconds, char out[HUMAN_TEXT])
{
    double most = 999.0 * 3600; /* what takes longer is not worth telling apart */
    int s = seconds < 0 ? 0 : (int)((seconds < most ? seconds : most) + 0.5);
    if (s < 60)
        snprintf(out, HUMAN_TEXT, "%d s", s);
    else if (s < 3600)
        snprintf(out, HUMAN_TEXT, "%d min %d s", s / 60, s % 60);
    else
        snprintf(out, HUMAN_TEXT, "%d h %d min", s / 3600, s % 3600 / 60);
    return out;
}

const char *human_time(int64_t unix_seconds, char out[HUMAN_TIME])
{
    time_t time = (time_t)unix_seconds;
    struct tm tm;
    if (!gmtime_r(&time, &tm) || strftime(out, HUMAN_TIME, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        *out = 0;
    return out;
}

const char *human_plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}
