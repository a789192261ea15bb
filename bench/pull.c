/* pull.c: the simplest program that fetches files in ranges over several connections into memory: what a copy
 * costs at least with this TLS library, on these sockets. The yardstick of bench/transfer.
 *
 *   bench_pull [--connections N] [--part BYTES] [--ca FILE] [--touched] URL...
 *
 * One thread per connection; each takes the next range, sends a GET, reads the answer straight into fresh
 * huge pages. No retries, no checks but the sizes. Prints seconds, CPU seconds and GB/s as one line of text.
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/pages.h"

#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_FILES = 64, MAX_HEAD = 8192 };

struct file {
    const char *path; /* from the first slash behind the host */
    uint64_t size;
    struct pages memory;
};

struct pull {
    char host[256], port[8];
    SSL_CTX *tls; /* NULL: plain */
    struct file files[MAX_FILES];
    int count;
    uint64_t part;
    atomic_uint_fast64_t next; /* ranges are numbered through all files */
};

struct line { /* one connection */
    int fd;
    SSL *ssl;
};

static void die(const char *what)
{
    fprintf(stderr, "bench_pull: %s\n", what);
    exit(1);
}

static struct line dial(const struct pull *p)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *a;
    struct line l = {-1, NULL};
    if (getaddrinfo(p->host, p->port, &hints, &a))
        die("no such host");
    l.fd = socket(a->ai_family, a->ai_socktype, 0);
    if (l.fd < 0 || connect(l.fd, a->ai_addr, a->ai_addrlen))
        die("cannot connect");
    freeaddrinfo(a);
    setsockopt(l.fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (p->tls) {
        l.ssl = SSL_new(p->tls);
        SSL_set_tlsext_host_name(l.ssl, p->host);
        if (!SSL_set_fd(l.ssl, l.fd) || SSL_connect(l.ssl) != 1)
            die("no TLS");
    }
    return l;
}

static size_t get(const struct line *l, void *to, size_t room)
{
    if (room > 1 << 30)
        room = 1 << 30;
    long n = l->ssl ? SSL_read(l->ssl, to, (int)room) : (long)read(l->fd, to, room);
    if (n <= 0)
        die("the connection ended early");
    return (size_t)n;
}

/* Sends a request, reads the head into `head` (NUL-terminated) and up to room bytes of what followed it into
 * `rest`; returns how many those were. */
static size_t ask(const struct pull *p, const struct line *l, const char *method, const char *path,
                  uint64_t begin, uint64_t size, char head[MAX_HEAD], unsigned char *rest)
{
    char request[4096];
    int n = snprintf(request, sizeof request,
                     "%s %s HTTP/1.1\r\nHost: %s\r\nRange: bytes=%" PRIu64 "-%" PRIu64 "\r\n\r\n", method,
                     path, p->host, begin, begin + size - 1);
    if ((l->ssl ? SSL_write(l->ssl, request, n) : (int)write(l->fd, request, (size_t)n)) != n)
        die("cannot send");
    size_t got = 0;
    for (;;) {
        got += get(l, head + got, MAX_HEAD - 1 - got);
        head[got] = 0;
        char *end = strstr(head, "\r\n\r\n");
        if (end) {
            size_t behind = got - (size_t)(end + 4 - head);
            memcpy(rest, end + 4, behind);
            end[2] = 0;
            return behind;
        }
        if (got == MAX_HEAD - 1)
            die("a head without an end");
    }
}

static uint64_t size_of(const struct pull *p, const struct line *l, const char *path)
{
    char head[MAX_HEAD];
    unsigned char one[MAX_HEAD];
    ask(p, l, "GET", path, 0, 1, head, one);
    const char *range = strcasestr(head, "\r\ncontent-range: bytes 0-0/");
    if (!range)
        die("no ranges are served there");
    return strtoull(strchr(range, '/') + 1, NULL, 10);
}

static void *connection(void *arg)
{
    struct pull *p = arg;
    struct line l = dial(p);
    char head[MAX_HEAD];
    for (;;) {
        uint64_t number = atomic_fetch_add(&p->next, 1), at = number * p->part;
        int f = 0;
        for (; f < p->count; f++) {
            uint64_t ranges = (p->files[f].size + p->part - 1) / p->part;
            if (number < ranges)
                break;
            number -= ranges;
        }
        if (f == p->count)
            break;
        at = number * p->part;
        uint64_t size = p->files[f].size - at < p->part ? p->files[f].size - at : p->part;
        unsigned char *to = (unsigned char *)p->files[f].memory.data + at;
        uint64_t got = ask(p, &l, "GET", p->files[f].path, at, size, head, to);
        if (strncmp(head, "HTTP/1.1 206", 12) != 0)
            die("not a 206");
        while (got < size)
            got += get(&l, to + got, size - got);
    }
    if (l.ssl)
        SSL_free(l.ssl);
    close(l.fd);
    return NULL;
}

static const char *split(struct pull *p, const char *url, bool *tls)
{
    *tls = strncmp(url, "https://", 8) == 0;
    const char *host = strstr(url, "://");
    const char *path = host ? strchr(host + 3, '/') : NULL;
    if (!path)
        die("URLs are http(s)://HOST:PORT/PATH");
    snprintf(p->host, sizeof p->host, "%.*s", (int)(path - host - 3), host + 3);
    char *colon = strchr(p->host, ':');
    snprintf(p->port, sizeof p->port, "%s", colon ? colon + 1 : *tls ? "443" : "80");
    if (colon)
        *colon = 0;
    return path;
}

static double cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

int main(int argc, char **argv)
{
    static struct pull p = {.part = 8 << 20};
    int connections = 8;
    const char *ca = NULL;
    bool tls = false, touched = false;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--connections") && i + 1 < argc)
            connections = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--part") && i + 1 < argc)
            p.part = strtoull(argv[++i], NULL, 10);
        else if (!strcmp(argv[i], "--ca") && i + 1 < argc)
            ca = argv[++i];
        else if (!strcmp(argv[i], "--touched"))
            touched = true;
        else if (p.count < MAX_FILES)
            p.files[p.count++].path = split(&p, argv[i], &tls);
    }
    if (!p.count || connections < 1 || connections > 64 || !p.part)
        die("bench_pull [--connections N] [--part BYTES] [--ca FILE] [--touched] URL...");
    if (tls) {
        p.tls = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_verify(p.tls, SSL_VERIFY_PEER, NULL);
        if (!(ca ? SSL_CTX_load_verify_locations(p.tls, ca, NULL) : SSL_CTX_set_default_verify_paths(p.tls)))
            die("no certificates");
    }

    double begun = clock_ms(), cpu = cpu_seconds();
    uint64_t total = 0;
    struct line l = dial(&p);
    for (int i = 0; i < p.count; i++) {
        struct err e = {0};
        p.files[i].size = size_of(&p, &l, p.files[i].path);
        if (!pages_alloc(&p.files[i].memory, p.files[i].size, &e))
            die(e.text);
        if (touched)
            memset(p.files[i].memory.data, 1, p.files[i].size);
        total += p.files[i].size;
    }
    if (touched)
        begun = clock_ms(), cpu = cpu_seconds();
    pthread_t threads[64];
    for (int i = 0; i < connections; i++)
        if (pthread_create(&threads[i], NULL, connection, &p))
            die("no thread");
    for (int i = 0; i < connections; i++)
        pthread_join(threads[i], NULL);
    double seconds = (clock_ms() - begun) / 1000;
    printf("%.3f s, %.3f CPU s, %.3f GB/s\n", seconds, cpu_seconds() - cpu, (double)total / seconds * 1e-9);
    return 0;
}
