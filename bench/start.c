/* How long `ferry serve` takes from exec to a bound port and to a loaded model, and the memory it then has:
 *
 *   bench_start FERRY FOLDER [ROUNDS]
 *
 * Medians over the rounds. RSS is read at the moment the port accepts, before the model is there (or nearly),
 * and again when /readyz says 200. */
#include "base/clock.h"
#include "rows.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_ROUNDS = 1000, GIVE_UP_MS = 60000 };

enum figure { BOUND_MS, READY_MS, BOUND_RSS, READY_RSS, FIGURES };

static const struct {
    const char *setting, *unit;
} figures[FIGURES] = {
    [BOUND_MS] = {"exec to bound port", "ms"},
    [READY_MS] = {"exec to ready model", "ms"},
    [BOUND_RSS] = {"RSS when bound", "MB"},
    [READY_RSS] = {"RSS when ready", "MB"},
};

static int connect_to(int port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* A port that was free a moment ago. */
static int free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), port = 0;
    if (fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0 &&
        getsockname(fd, (struct sockaddr *)&a, &size) == 0)
        port = ntohs(a.sin_port);
    if (fd >= 0)
        close(fd);
    return port;
}

static bool is_ready(int port)
{
    static const char request[] = "GET /readyz HTTP/1.0\r\n\r\n";
    char answer[16] = "";
    int fd = connect_to(port);
    bool ready = fd >= 0 && write(fd, request, sizeof request - 1) > 0 && read(fd, answer, 12) == 12 &&
                 strcmp(answer + 9, "200") == 0;
    if (fd >= 0)
        close(fd);
    return ready;
}

static bool is_bound(int port)
{
    int fd = connect_to(port);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* MB of 10^6 bytes; 0 when the process is gone. */
static double rss_mb(pid_t pid)
{
    char path[64], line[256];
    long kb = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f) && sscanf(line, "VmRSS: %ld", &kb) != 1)
        continue;
    if (f)
        fclose(f);
    return (double)kb * 1024e-6;
}

static pid_t start(const char *ferry, const char *folder, int port)
{
    char digits[16];
    snprintf(digits, sizeof digits, "%d", port);
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    execl(ferry, ferry, "serve", folder, "--port", digits, "--log", "off", (char *)NULL);
    perror(ferry);
    _exit(127);
}

/* Polls without sleeping: a wait would be part of what is measured. False when the process ended or gave no
 * answer for a minute. */
static bool wait_until(bool (*condition)(int port), int port, pid_t pid, double begun_ms)
{
    while (!condition(port))
        if (clock_ms() - begun_ms > GIVE_UP_MS || waitpid(pid, NULL, WNOHANG) != 0)
            return false;
    return true;
}

static bool measure(const char *ferry, const char *folder, double row[FIGURES])
{
    int port = free_port();
    double begun = clock_ms();
    pid_t pid = start(ferry, folder, port);

    bool ok = pid > 0 && wait_until(is_bound, port, pid, begun);
    row[BOUND_MS] = clock_ms() - begun;
    row[BOUND_RSS] = ok ? rss_mb(pid) : 0;
    ok = ok && wait_until(is_ready, port, pid, begun);
    row[READY_MS] = clock_ms() - begun;
    row[READY_RSS] = ok ? rss_mb(pid) : 0;
    if (pid > 0) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    return ok;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    static double table[FIGURES][MAX_ROUNDS];
    int rounds = argc > 3 ? atoi(argv[3]) : 20;
    struct rows rows;
    struct stat st;

    if (argc < 3 || rounds < 1 || rounds > MAX_ROUNDS) {
        fprintf(stderr, "usage: bench_start FERRY FOLDER [ROUNDS]\n");
        return 2;
    }
    rows_begin(&rows, "start");
    for (int i = 0; i < rounds; i++) {
        double row[FIGURES];
        if (!measure(argv[1], argv[2], row)) {
            fprintf(stderr, "bench_start: %s serve %s did not become ready\n", argv[1], argv[2]);
            return 1;
        }
        for (int f = 0; f < FIGURES; f++)
            table[f][i] = row[f];
    }
    for (int f = 0; f < FIGURES; f++) {
        qsort(table[f], (size_t)rounds, sizeof(double), by_size);
        rows_value(&rows, figures[f].setting, table[f][rounds / 2], figures[f].unit);
    }
    if (stat(argv[1], &st) == 0)
        rows_value(&rows, "size of the program", (double)st.st_size * 1e-6, "MB");
    return 0;
}
