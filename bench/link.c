/* link.c: a longer and slower way to a server on loopback: a TCP proxy with latency and limited rates.
 *
 *   bench_link --to PORT [--port N] [--delay-ms D] [--rate BYTES] [--each BYTES]
 *
 * Every byte takes D milliseconds each way; --rate limits what all connections together carry from the server
 * in a second, --each what one of them does. Prints the port it listens on, then runs until it is killed.
 *
 * Two threads per direction of a connection: one reads and stamps what it read with the time at which it may
 * go on, the other waits for that time and for its share of the rate. What waits is bounded (ROOM), as the
 * network's own buffers are: twice the bytes that are under way at 100 MB/s and 100 ms. */
#include "base/clock.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ROOM = 20 << 20, PIECE = 64 << 10, PIECES = ROOM / PIECE, LISTEN_BACKLOG = 128 };

/* A rate that several may share: the time at which the next byte may go. */
struct rate {
    double bytes_per_second; /* 0: no limit */
    struct {
        pthread_mutex_t mutex;
        uint64_t next_ns;
    } locked;
};

struct piece {
    unsigned char bytes[PIECE];
    size_t size; /* 0: the end */
    uint64_t due_ns;
};

/* One direction of a connection. */
struct way {
    int from, to;
    uint64_t delay_ns;
    struct rate *all; /* NULL: not limited */
    struct rate own;
    struct piece *pieces; /* [PIECES] a ring */
    struct {
        pthread_mutex_t mutex;
        pthread_cond_t changed;
        unsigned put, taken;
        bool broken; /* nobody takes any more */
    } locked;
};

static uint64_t delay_ns;
static struct rate all, none;
static double each;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void sleep_until(uint64_t ns)
{
    uint64_t now = clock_ns();
    if (now >= ns)
        return;
    struct timespec t = {(time_t)((ns - now) / 1000000000), (long)((ns - now) % 1000000000)};
    nanosleep(&t, NULL);
}

/* Waits until these bytes have had their time. An idle link saves nothing up but 20 ms, which a scheduler may
 * oversleep. */
static void pace(struct rate *r, size_t bytes)
{
    enum { SLACK_NS = 20000000 };
    if (r->bytes_per_second <= 0)
        return;
    uint64_t now = clock_ns();
    pthread_mutex_lock(&r->locked.mutex);
    if (r->locked.next_ns + SLACK_NS < now)
        r->locked.next_ns = now - SLACK_NS;
    r->locked.next_ns += (uint64_t)((double)bytes / r->bytes_per_second * 1e9);
    uint64_t until = r->locked.next_ns;
    pthread_mutex_unlock(&r->locked.mutex);
    sleep_until(until);
}

static void *read_pieces(void *arg)
{
    struct way *w = arg;
    for (bool going = true; going;) {
        pthread_mutex_lock(&w->locked.mutex);
        while (w->locked.put - w->locked.taken == PIECES && !w->locked.broken)
            pthread_cond_wait(&w->locked.changed, &w->locked.mutex);
        struct piece *p = &w->pieces[w->locked.put % PIECES];
        going = !w->locked.broken;
        pthread_mutex_unlock(&w->locked.mutex);
        ssize_t n = going ? read(w->from, p->bytes, PIECE) : 0;
        p->size = n > 0 ? (size_t)n : 0;
        p->due_ns = clock_ns() + w->delay_ns;
        going = going && p->size;
        pthread_mutex_lock(&w->locked.mutex);
        w->locked.put++;
        pthread_cond_broadcast(&w->locked.changed);
        pthread_mutex_unlock(&w->locked.mutex);
    }
    return NULL;
}

static bool write_all(int fd, const unsigned char *bytes, size_t size)
{
    while (size) {
        ssize_t n = send(fd, bytes, size, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        bytes += n;
        size -= (size_t)n;
    }
    return true;
}

static void *write_pieces(void *arg)
{
    struct way *w = arg;
    for (bool going = true; going;) {
        pthread_mutex_lock(&w->locked.mutex);
        while (w->locked.put == w->locked.taken)
            pthread_cond_wait(&w->locked.changed, &w->locked.mutex);
        struct piece *p = &w->pieces[w->locked.taken % PIECES];
        pthread_mutex_unlock(&w->locked.mutex);
        sleep_until(p->due_ns);
        pace(w->all, p->size);
        pace(&w->own, p->size);
        going = p->size && write_all(w->to, p->bytes, p->size);
        pthread_mutex_lock(&w->locked.mutex);
        w->locked.taken++;
        w->locked.broken = !going;
        pthread_cond_broadcast(&w->locked.changed);
        pthread_mutex_unlock(&w->locked.mutex);
    }
    shutdown(w->to, SHUT_WR);
    shutdown(w->from, SHUT_RD);
    return NULL;
}

/* Both threads of one direction; returns when it has ended. */
static void *run_way(void *arg)
{
    struct way *w = arg;
    pthread_t reader;
    if (pthread_create(&reader, NULL, read_pieces, w))
        die("thread");
    write_pieces(w);
    pthread_join(reader, NULL);
    return NULL;
}

static struct way *new_way(int from, int to, struct rate *shared, double own)
{
    struct way *w = calloc(1, sizeof *w);
    if (w)
        w->pieces = malloc(PIECES * sizeof *w->pieces);
    if (!w || !w->pieces)
        die("memory");
    w->from = from;
    w->to = to;
    w->delay_ns = delay_ns;
    w->all = shared;
    w->own.bytes_per_second = own;
    pthread_mutex_init(&w->own.locked.mutex, NULL);
    pthread_mutex_init(&w->locked.mutex, NULL);
    pthread_cond_init(&w->locked.changed, NULL);
    return w;
}

static void free_way(struct way *w)
{
    free(w->pieces);
    free(w);
}

struct pair {
    int client, server;
};

static void *carry(void *arg)
{
    struct pair p = *(struct pair *)arg;
    struct way *up = new_way(p.client, p.server, &none, 0), *down = new_way(p.server, p.client, &all, each);
    pthread_t other;
    free(arg);
    if (pthread_create(&other, NULL, run_way, up))
        die("thread");
    run_way(down);
    pthread_join(other, NULL);
    close(p.client);
    close(p.server);
    free_way(up);
    free_way(down);
    return NULL;
}

static int socket_at(int port, bool listening)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (fd < 0 || (listening ? bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, LISTEN_BACKLOG)
                             : connect(fd, (struct sockaddr *)&a, sizeof a)))
        die(listening ? "listen" : "connect");
    return fd;
}

static int port_of(int fd)
{
    struct sockaddr_in a;
    socklen_t n = sizeof a;
    getsockname(fd, (struct sockaddr *)&a, &n);
    return ntohs(a.sin_port);
}

int main(int argc, char **argv)
{
    int to = 0, port = 0;
    for (int i = 1; i + 1 < argc; i += 2) {
        double value = atof(argv[i + 1]);
        if (!strcmp(argv[i], "--to"))
            to = (int)value;
        else if (!strcmp(argv[i], "--port"))
            port = (int)value;
        else if (!strcmp(argv[i], "--delay-ms"))
            delay_ns = (uint64_t)(value * 1e6);
        else if (!strcmp(argv[i], "--rate"))
            all.bytes_per_second = value;
        else if (!strcmp(argv[i], "--each"))
            each = value;
    }
    if (!to) {
        fprintf(stderr, "bench_link --to PORT [--port N] [--delay-ms D] [--rate BYTES] [--each BYTES]\n");
        return 2;
    }
    pthread_mutex_init(&all.locked.mutex, NULL);
    pthread_mutex_init(&none.locked.mutex, NULL);
    signal(SIGPIPE, SIG_IGN);
    int listener = socket_at(port, true);
    printf("%d\n", port_of(listener));
    fflush(stdout);
    for (;;) {
        struct pair *p = malloc(sizeof *p);
        pthread_t thread;
        if (!p || (p->client = accept(listener, NULL, NULL)) < 0)
            die("accept");
        setsockopt(p->client, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        p->server = socket_at(to, false);
        if (pthread_create(&thread, NULL, carry, p))
            die("thread");
        pthread_detach(thread);
    }
}
