#include "peer.h"

#include "base/crc32c.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct connection {
    struct peer *p;
    int fd;
};

static void sleep_ms(int ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    nanosleep(&t, NULL);
}

/* Reads a head and what came with it; false at the end. *head_size is where the body begins. */
static bool read_head(int fd, char *text, size_t *size, size_t *head_size)
{
    *size = 0;
    for (ssize_t n; *size + 1 < PEER_HEAD && (n = read(fd, text + *size, PEER_HEAD - 1 - *size)) > 0;) {
        *size += (size_t)n;
        text[*size] = 0;
        const char *end = strstr(text, "\r\n\r\n");
        if (end) {
            *head_size = (size_t)(end + 4 - text);
            return true;
        }
    }
    return false;
}

static void read_body(int fd, uint64_t left, uint64_t *size, uint32_t *crc)
{
    static const size_t room = 1 << 16;
    char *bytes = malloc(room);
    for (ssize_t n; bytes && left && (n = read(fd, bytes, left < room ? left : room)) > 0;) {
        *crc = crc32c(*crc, bytes, (size_t)n);
        *size += (uint64_t)n;
        left -= (uint64_t)n;
    }
    free(bytes);
}

/* One whole request, noted down. */
static bool read_request(struct connection *c)
{
    char text[PEER_HEAD];
    size_t size, head;
    if (!read_head(c->fd, text, &size, &head))
        return false;
    const char *length = strstr(text, "Content-Length: ");
    uint64_t body = length ? strtoull(length + 16, NULL, 10) : 0, got = size - head;
    uint32_t crc = crc32c(0, text + head, size - head);
    if (!c->p->deaf && got < body)
        read_body(c->fd, body - got, &got, &crc);
    text[head] = 0;
    pthread_mutex_lock(&c->p->locked.mutex);
    memcpy(c->p->locked.head, text, head + 1);
    c->p->locked.body_size = got;
    c->p->locked.body_crc = crc;
    c->p->locked.requests++;
    c->p->locked.busy++;
    if (c->p->locked.busy > c->p->locked.most_busy)
        c->p->locked.most_busy = c->p->locked.busy;
    pthread_mutex_unlock(&c->p->locked.mutex);
    return true;
}

static bool send_all(int fd, const char *bytes, size_t size)
{
    for (ssize_t n; size; bytes += n, size -= (size_t)n) {
        n = send(fd, bytes, size, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
    }
    return true;
}

static bool answer(struct connection *c)
{
    const struct peer *p = c->p;
    sleep_ms(p->delay_ms);
    pthread_mutex_lock(&c->p->locked.mutex);
    c->p->locked.busy--; /* before the answer: with it the client may begin the next */
    pthread_mutex_unlock(&c->p->locked.mutex);
    return p->answer && send_all(c->fd, p->answer, p->answer_size ? p->answer_size : strlen(p->answer));
}

static void end_connection(struct connection *c)
{
    char rest[64];
    struct linger at_once = {.l_onoff = 1};
    if (c->p->end == PEER_HANG) {
        while (read(c->fd, rest, sizeof rest) > 0)
            continue;
    } else if (c->p->end == PEER_TICK) {
        while (send_all(c->fd, ".", 1))
            sleep_ms(250);
    } else if (c->p->end == PEER_RESET) {
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
}

static void *serve_connection(void *arg)
{
    struct connection *c = arg;
    int kept = c->p->kept;
    bool more = true;
    for (int i = 0; more && read_request(c); i++)
        more = (!kept || i < kept) && answer(c) && (kept || c->p->end == PEER_KEEP);
    end_connection(c);
    pthread_mutex_lock(&c->p->locked.mutex);
    for (int i = 0; i < c->p->locked.connections; i++) {
        if (c->p->locked.fds[i] == c->fd)
            c->p->locked.fds[i] = -1;
    }
    close(c->fd);
    pthread_mutex_unlock(&c->p->locked.mutex);
    free(c);
    return NULL;
}

static void *accept_all(void *arg)
{
    struct peer *p = arg;
    for (int fd; (fd = accept(p->listener, NULL, NULL)) >= 0;) {
        struct connection *c = malloc(sizeof *c);
        pthread_mutex_lock(&p->locked.mutex);
        int i = p->locked.connections;
        if (c && i < PEER_MAX_CONNECTIONS) {
            *c = (struct connection){p, fd};
            p->locked.fds[i] = fd;
            if (pthread_create(&p->locked.threads[i], NULL, serve_connection, c) == 0)
                p->locked.connections++;
        }
        pthread_mutex_unlock(&p->locked.mutex);
    }
    return NULL;
}

void peer_start(struct peer *p)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    pthread_mutex_init(&p->locked.mutex, NULL);
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(p->listener, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(p->listener, 64), 0);
    assert_int_equal(getsockname(p->listener, (struct sockaddr *)&a, &size), 0);
    p->port = ntohs(a.sin_port);
    assert_int_equal(pthread_create(&p->thread, NULL, accept_all, p), 0);
}

void peer_stop(struct peer *p)
{
    shutdown(p->listener, SHUT_RDWR);
    pthread_join(p->thread, NULL);
    close(p->listener);
    pthread_mutex_lock(&p->locked.mutex);
    for (int i = 0; i < p->locked.connections; i++) {
        if (p->locked.fds[i] >= 0)
            shutdown(p->locked.fds[i], SHUT_RDWR);
    }
    pthread_mutex_unlock(&p->locked.mutex);
    for (int i = 0; i < p->locked.connections; i++)
        pthread_join(p->locked.threads[i], NULL);
    pthread_mutex_destroy(&p->locked.mutex);
}

void peer_url(const struct peer *p, const char *path, char out[200])
{
    snprintf(out, 200, "http://127.0.0.1:%d%s", p->port, path);
}
