/* transfer.c: times commands that move the same bytes, in rounds, each beside the others (script/bench
 * transfer writes the table).
 *
 *   bench_transfer --bytes N [--rounds N] < TABLE
 *
 * A line of the table is SETTING|PEER|COMMAND: PEER is the setting of an earlier line that it is compared
 * with, or empty. Every round runs all commands once, through sh. Rows: GB/s (best round; ratio: median over
 * rounds of peer's seconds / own seconds), CPU seconds per GB (least; ratio: own / peer's) and peak MB of
 * memory. */
#include "base/clock.h"
#include "rows.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_LINES = 32, MAX_ROUNDS = 9 };

struct line {
    char text[2048];
    const char *setting, *command;
    int peer; /* -1: none */
    double seconds[MAX_ROUNDS], cpu[MAX_ROUNDS], rss_mb;
    bool failed;
};

static struct line lines[MAX_LINES];
static int count;

static void die(const char *what, const char *more)
{
    fprintf(stderr, "bench_transfer: %s%s\n", what, more);
    exit(2);
}

static int find(const char *setting)
{
    for (int i = 0; i < count; i++)
        if (!strcmp(lines[i].setting, setting))
            return i;
    return -1;
}

static void read_table(void)
{
    while (count < MAX_LINES && fgets(lines[count].text, sizeof lines[count].text, stdin)) {
        struct line *l = &lines[count];
        l->text[strcspn(l->text, "\n")] = 0;
        char *peer = strchr(l->text, '|');
        char *command = peer ? strchr(peer + 1, '|') : NULL;
        if (!command)
            die("not SETTING|PEER|COMMAND: ", l->text);
        *peer++ = *command++ = 0;
        l->setting = l->text;
        l->command = command;
        l->peer = find(peer);
        if (*peer && l->peer < 0)
            die("no earlier line is called ", peer);
        count++;
    }
}

static double seconds_of(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec * 1e-6;
}

static void run(struct line *l, int round)
{
    struct rusage u;
    int status;
    double begun = clock_ms();
    pid_t child = fork();
    if (child == 0) {
        execl("/bin/sh", "sh", "-c", l->command, (char *)NULL);
        _exit(127);
    }
    if (child < 0 || wait4(child, &status, 0, &u) != child)
        die("cannot run ", l->command);
    l->seconds[round] = (clock_ms() - begun) / 1000;
    l->cpu[round] = seconds_of(u.ru_utime) + seconds_of(u.ru_stime);
    if ((double)u.ru_maxrss / 1024 > l->rss_mb)
        l->rss_mb = (double)u.ru_maxrss / 1024;
    if (status)
        fprintf(stderr, "bench_transfer: %s: failed\n", l->setting);
    l->failed |= status != 0;
}

static double least(const double *v, int n)
{
    double best = v[0];
    for (int i = 1; i < n; i++)
        best = fmin(best, v[i]);
    return best;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_ratio(const double *a, const double *b, int n)
{
    double r[MAX_ROUNDS];
    for (int i = 0; i < n; i++)
        r[i] = a[i] / b[i];
    qsort(r, (size_t)n, sizeof *r, by_value);
    return n % 2 ? r[n / 2] : (r[n / 2 - 1] + r[n / 2]) / 2;
}

static void print(const struct rows *rows, const struct line *l, int rounds, double gb)
{
    const struct line *peer = l->peer >= 0 ? &lines[l->peer] : NULL;
    double rate = gb / least(l->seconds, rounds), cpu = least(l->cpu, rounds) / gb;
    char setting[256];
    if (peer && !peer->failed) {
        rows_ratio(rows, l->setting, rate, "GB/s", median_ratio(peer->seconds, l->seconds, rounds),
                   peer->setting);
        snprintf(setting, sizeof setting, "%s, CPU", l->setting);
        rows_ratio(rows, setting, cpu, "s/GB", median_ratio(l->cpu, peer->cpu, rounds), peer->setting);
    } else {
        rows_value(rows, l->setting, rate, "GB/s");
        snprintf(setting, sizeof setting, "%s, CPU", l->setting);
        rows_value(rows, setting, cpu, "s/GB");
    }
    snprintf(setting, sizeof setting, "%s, peak memory", l->setting);
    rows_value(rows, setting, l->rss_mb, "MB");
}

int main(int argc, char **argv)
{
    double bytes = 0;
    int rounds = 3;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--bytes"))
            bytes = atof(argv[i + 1]);
        else if (!strcmp(argv[i], "--rounds"))
            rounds = atoi(argv[i + 1]);
    }
    if (bytes <= 0 || rounds < 1 || rounds > MAX_ROUNDS)
        die("bench_transfer --bytes N [--rounds 1..9] < TABLE", "");
    read_table();

    for (int round = 0; round < rounds; round++)
        for (int i = 0; i < count; i++)
            run(&lines[i], round);
    struct rows rows;
    rows_begin(&rows, "transfer");
    bool failed = false;
    for (int i = 0; i < count; i++) {
        failed |= lines[i].failed;
        if (!lines[i].failed)
            print(&rows, &lines[i], rounds, bytes * 1e-9);
    }
    return failed;
}
