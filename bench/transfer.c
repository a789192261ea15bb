/* transfer.c: times commands that move the same bytes, in rounds, each beside the others (script/bench
 * transfer writes the table).
 *
 *   bench_transfer --bytes N [--rounds N] [--files N] [--rate BYTES] [--after COMMAND] < TABLE
 *
 * A line of the table is SETTING|PEER|COMMAND: PEER is the setting of an earlier line that it is compared
 * with, or empty. Every round runs all commands once, through sh. Rows: GB/s (best round; ratio: median over
 * rounds of peer's seconds / own seconds), CPU seconds per GB (least; ratio: own / peer's) and peak MB of
 * memory. --after is run behind each of them and does not count: it takes away what was copied. With --files
 * files/s instead, with --rate the ratio to that rate where no peer is named.
 *
 * Memory that a virtual machine has never touched costs a fault in the host when it is first, four times as
 * much as the copy itself here; whoever runs first would pay for all. So as much memory as is copied is
 * touched and given back before each command. A command that begins its output with "1.234 s, 5.678 CPU s"
 * has measured itself: what comes before, such as touching its own memory, does not count. */
#include "base/clock.h"
#include "rows.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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

static void touch_memory(size_t bytes)
{
    char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (p != MAP_FAILED)
        munmap(p, bytes);
}

static void clean(const char *command)
{
    if (command && system(command) != 0)
        die("failed: ", command);
}

static void run(struct line *l, int round, size_t bytes)
{
    struct rusage u;
    int status;
    int out[2];
    char said[256] = "";
    touch_memory(bytes + bytes / 2);
    if (pipe(out))
        die("cannot run ", l->command);
    double begun = clock_ms(), seconds, cpu;
    pid_t child = fork();
    if (child == 0) {
        dup2(out[1], STDOUT_FILENO);
        close(out[0]);
        close(out[1]);
        execl("/bin/sh", "sh", "-c", l->command, (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    for (size_t n = 0; n < sizeof said - 1;) {
        ssize_t more = read(out[0], said + n, sizeof said - 1 - n);
        if (more <= 0)
            break;
        n += (size_t)more;
    }
    close(out[0]);
    if (child < 0 || wait4(child, &status, 0, &u) != child)
        die("cannot run ", l->command);
    l->seconds[round] = (clock_ms() - begun) / 1000;
    l->cpu[round] = seconds_of(u.ru_utime) + seconds_of(u.ru_stime);
    if (sscanf(said, "%lf s, %lf CPU s", &seconds, &cpu) == 2) {
        l->seconds[round] = seconds;
        l->cpu[round] = cpu;
    }
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

/* What is counted: gigabytes, or files in thousands. */
struct amount {
    double count;
    const char *rate, *cpu;
    double limit; /* of the rate; 0: none */
};

static void print(const struct rows *rows, const struct line *l, int rounds, const struct amount *a)
{
    const struct line *peer = l->peer >= 0 ? &lines[l->peer] : NULL;
    double rate = a->count / least(l->seconds, rounds), cpu = least(l->cpu, rounds) / a->count;
    char setting[256];
    snprintf(setting, sizeof setting, "%s: CPU", l->setting);
    if (peer && !peer->failed) {
        rows_ratio(rows, l->setting, rate, a->rate, median_ratio(peer->seconds, l->seconds, rounds),
                   peer->setting);
        rows_ratio(rows, setting, cpu, a->cpu, median_ratio(l->cpu, peer->cpu, rounds), peer->setting);
    } else {
        if (a->limit > 0)
            rows_ratio(rows, l->setting, rate, a->rate, rate / a->limit, "the link");
        else
            rows_value(rows, l->setting, rate, a->rate);
        rows_value(rows, setting, cpu, a->cpu);
    }
    snprintf(setting, sizeof setting, "%s: peak memory", l->setting);
    rows_value(rows, setting, l->rss_mb, "MB");
}

int main(int argc, char **argv)
{
    double bytes = 0, files = 0, limit = 0;
    const char *after = NULL;
    int rounds = 3;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--bytes"))
            bytes = atof(argv[i + 1]);
        else if (!strcmp(argv[i], "--rounds"))
            rounds = atoi(argv[i + 1]);
        else if (!strcmp(argv[i], "--files"))
            files = atof(argv[i + 1]);
        else if (!strcmp(argv[i], "--rate"))
            limit = atof(argv[i + 1]);
        else if (!strcmp(argv[i], "--after"))
            after = argv[i + 1];
    }
    if (bytes <= 0 || rounds < 1 || rounds > MAX_ROUNDS)
        die("bench_transfer --bytes N [--rounds 1..9] [--files N] [--rate BYTES] [--after COMMAND] < TABLE",
            "");
    read_table();

    for (int round = 0; round < rounds; round++)
        for (int i = 0; i < count; i++) {
            run(&lines[i], round, (size_t)bytes);
            clean(after);
        }
    struct amount gigabytes = {bytes * 1e-9, "GB/s", "s/GB", limit * 1e-9};
    struct amount thousands = {files * 1e-3, "thousand files/s", "s per thousand files", 0};
    struct rows rows;
    rows_begin(&rows, "transfer");
    bool failed = false;
    for (int i = 0; i < count; i++) {
        failed |= lines[i].failed;
        if (!lines[i].failed)
            print(&rows, &lines[i], rounds, files > 0 ? &thousands : &gigabytes);
    }
    return failed;
}
