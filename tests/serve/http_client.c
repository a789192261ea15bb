#include "http_client.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { READ_MS = 30000 };

int client_try(int port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
        return fd;
    close(fd);
    return -1;
}

int client_connect(int port)
{
    int fd = client_try(port);
    assert_true(fd >= 0);
    return fd;
}

bool client_send(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t n = send(fd, bytes, size, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        bytes += n;
        size -= (size_t)n;
    }
    return true;
}

void client_write(int fd, const char *text)
{
    assert_true(client_send(fd, text, strlen(text)));
}

/* One byte; -1 at the end, after an error, or when nothing comes. */
static int next_byte(int fd)
{
    unsigned char c;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (poll(&p, 1, READ_MS) != 1 || recv(fd, &c, 1, 0) != 1)
        return -1;
    return c;
}

static bool read_head(int fd, struct reply *r)
{
    size_t n = 0;
    int c;
    while ((c = next_byte(fd)) >= 0 && n < sizeof r->head - 1) {
        r->head[n++] = (char)c;
        r->head[n] = '\0';
        if (n >= 4 && strcmp(r->head + n - 4, "\r\n\r\n") == 0)
            return sscanf(r->head, "HTTP/1.1 %d", &r->status) == 1;
    }
    return false;
}

static bool read_bytes(int fd, size_t n, struct reply *r)
{
    for (; n > 0; n--) {
        int c = next_byte(fd);
        if (c < 0 || r->size == sizeof r->body - 1)
            return false;
        r->body[r->size++] = (char)c;
    }
    r->body[r->size] = '\0';
    return true;
}

static bool read_line(int fd, char *line, size_t room)
{
    size_t n = 0;
    int c;
    while ((c = next_byte(fd)) >= 0 && c != '\n' && n < room - 1)
        line[n++] = (char)c;
    line[n] = '\0';
    return c == '\n';
}

static bool read_chunks(int fd, struct reply *r)
{
    char line[64];
    while (read_line(fd, line, sizeof line)) {
        size_t n = strtoul(line, NULL, 16);
        if (n == 0)
            return read_line(fd, line, sizeof line);
        if (!read_bytes(fd, n, r) || !read_line(fd, line, sizeof line))
            return false;
    }
    return false;
}

void client_read(int fd, struct reply *r)
{
    memset(r, 0, sizeof *r);
    do {
        r->status = 0;
        if (!read_head(fd, r))
            return;
    } while (r->status == 100);
    const char *length = strcasestr(r->head, "\r\nContent-Length: ");
    if (length)
        r->whole = read_bytes(fd, strtoul(length + 18, NULL, 10), r);
    else if (strcasestr(r->head, "\r\nTransfer-Encoding: chunked"))
        r->whole = read_chunks(fd, r);
}

bool client_closed(int fd, double seconds)
{
    double until = clock_ms() + seconds * 1e3;
    while (clock_ms() < until) {
        char c;
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, (int)(until - clock_ms()) + 1) == 1 && recv(fd, &c, 1, 0) <= 0)
            return true;
    }
    return false;
}

void client_ask(int port, const char *method, const char *path, const char *headers, const char *body,
                struct reply *r)
{
    char head[2048];
    int fd = client_connect(port);
    int n = snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: x\r\n%s", method, path, headers);
    assert_true(n > 0 && (size_t)n < sizeof head - 64);
    if (body)
        snprintf(head + n, sizeof head - (size_t)n, "Content-Length: %zu\r\n", strlen(body));
    client_write(fd, head);
    client_write(fd, "\r\n");
    if (body)
        client_write(fd, body);
    if (strcmp(method, "HEAD") != 0)
        client_read(fd, r);
    else
        r->whole = read_head(fd, r);
    close(fd);
}
