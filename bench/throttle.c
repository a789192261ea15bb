#include "throttle.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* A piece is a quarter of a millisecond at 1 GB/s, and what a pipe holds. */
enum { PIECE = 256 << 10, MAX_CONNECTIONS = 512, BURST_MS = 2 };

/* One direction of one connection. */
struct way {
    struct throttle *throttle;
    int from, to;
    bool limited;
    pthread_t thread;
};

struct throttle {
    int listener, port, server_port;
    double bytes_per_ns;
    pthread_t accepter;
    pthread_mutex_t mutex; /* guards the rest */
    double due_ns;         /* when the next piece may go */
    struct way ways[2 * MAX_CONNECTIONS];
    int count;
};

static int dial(int port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* Everybody's pieces one after another on one line: first come, first served. */
static void wait_turn(struct throttle *t, ssize_t bytes)
{
    double now = (double)clock_ns();
    pthread_mutex_lock(&t->mutex);
    if (t->due_ns < now - BURST_MS * 1e6)
        t->due_ns = now - BURST_MS * 1e6;
    t->due_ns += (double)bytes / t->bytes_per_ns;
    double wait = t->due_ns - now;
    pthread_mutex_unlock(&t->mutex);
    if (wait > 0)
        nanosleep(&(struct timespec){.tv_sec = (time_t)(wait * 1e-9), .tv_nsec = (long)wait % 1000000000L},
                  NULL);
}

/* The bytes themselves are not looked at: from socket to socket through a pipe. */
static void *forward(void *arg)
{
    struct way *w = arg;
    int pipe_fds[2];
    if (pipe2(pipe_fds, O_CLOEXEC) != 0)
        return NULL;
    fcntl(pipe_fds[1], F_SETPIPE_SZ, PIECE);
    for (ssize_t n; (n = splice(w->from, NULL, pipe_fds[1], NULL, PIECE, SPLICE_F_MOVE)) > 0;) {
        if (w->limited)
            wait_turn(w->throttle, n);
        while (n > 0) {
            ssize_t sent = splice(pipe_fds[0], NULL, w->to, NULL, (size_t)n, SPLICE_F_MOVE);
            if (sent <= 0)
                goto done;
            n -= sent;
        }
    }
done:
    shutdown(w->to, SHUT_WR);
    shutdown(w->from, SHUT_RD);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    return NULL;
}

static bool add_way(struct throttle *t, int from, int to, bool limited)
{
    struct way *w = &t->ways[t->count];
    *w = (struct way){t, from, to, limited, 0};
    if (pthread_create(&w->thread, NULL, forward, w) != 0)
        return false;
    t->count++;
    return true;
}

static void *accept_all(void *arg)
{
    struct throttle *t = arg;
    for (int client; (client = accept4(t->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0;) {
        int server = dial(t->server_port);
        if (server < 0 || t->count + 2 > 2 * MAX_CONNECTIONS) {
            close(client);
            continue;
        }
        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        if (!add_way(t, client, server, false) || !add_way(t, server, client, t->bytes_per_ns > 0))
            break;
    }
    return NULL;
}

static bool listen_somewhere(struct throttle *t)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    t->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (t->listener < 0 || bind(t->listener, (struct sockaddr *)&a, sizeof a) != 0 ||
        listen(t->listener, 128) != 0 || getsockname(t->listener, (struct sockaddr *)&a, &size) != 0)
        return false;
    t->port = ntohs(a.sin_port);
    return pthread_create(&t->accepter, NULL, accept_all, t) == 0;
}

struct throttle *throttle_new(int server_port, double bytes_per_second, struct err *e)
{
    struct throttle *t = calloc(1, sizeof *t);
    if (!t) {
        err_set(e, ERR_MEMORY, "no memory for a throttle");
        return NULL;
    }
    t->server_port = server_port;
    t->bytes_per_ns = bytes_per_second * 1e-9;
    pthread_mutex_init(&t->mutex, NULL);
    if (listen_somewhere(t))
        return t;
    err_errno(e, "throttle");
    free(t);
    return NULL;
}

int throttle_port(const struct throttle *t)
{
    return t->port;
}

void throttle_free(struct throttle *t)
{
    if (!t)
        return;
    shutdown(t->listener, SHUT_RDWR);
    pthread_join(t->accepter, NULL);
    for (int i = 0; i < t->count; i++) {
        shutdown(t->ways[i].from, SHUT_RDWR);
        shutdown(t->ways[i].to, SHUT_RDWR);
    }
    for (int i = 0; i < t->count; i++)
        pthread_join(t->ways[i].thread, NULL);
    for (int i = 0; i < t->count; i++)
        close(t->ways[i].from);
    close(t->listener);
    pthread_mutex_destroy(&t->mutex);
    free(t);
}
