#include "base/listen.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BACKLOG = 4096,
    OTHER_FILES = 128, /* shards, epolls, logs, and some to spare */
    FIRST_INHERITED = 3,
};

/* Tries one address. */
static int bind_to(const struct sockaddr *address, socklen_t size, const char *name, int port, struct err *e)
{
    int off = 0, on = 1;
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        err_errno(e, "listen on %s port %d", name, port);
        return -1;
    }
    if (address->sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, address, size) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    err_errno(e, "listen on %s port %d", name, port);
    close(fd);
    return -1;
}

static int listen_everywhere(int port, struct err *e)
{
    struct sockaddr_in6 six = {
        .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = in6addr_any};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct err no_six = {0};
    int fd = bind_to((struct sockaddr *)&six, sizeof six, "all addresses", port, &no_six);
    return fd >= 0 ? fd : bind_to((struct sockaddr *)&four, sizeof four, "all addresses", port, e);
}

static int listen_on_host(const char *host, int port, struct err *e)
{
    char service[8];
    snprintf(service, sizeof service, "%d", port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found;
    int problem = getaddrinfo(host, service, &hints, &found);
    if (problem) {
        err_set(e, ERR_USAGE, "listen on %s: %s", host, gai_strerror(problem));
        return -1;
    }
    int fd = -1;
    for (struct addrinfo *a = found; a && fd < 0; a = a->ai_next)
        fd = bind_to(a->ai_addr, a->ai_addrlen, host, port, e);
    freeaddrinfo(found);
    return fd;
}

static int port_of(int fd)
{
    struct sockaddr_storage a = {0};
    socklen_t size = sizeof a;
    if (getsockname(fd, (struct sockaddr *)&a, &size) != 0)
        return 0;
    if (a.ss_family != AF_INET && a.ss_family != AF_INET6)
        return 0;
    return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port
                                         : ((struct sockaddr_in *)&a)->sin_port);
}

int listen_on(const char *host, int *port, struct err *e)
{
    int fd = host && *host ? listen_on_host(host, *port, e) : listen_everywhere(*port, e);
    if (fd >= 0)
        *port = port_of(fd);
    return fd;
}

static bool is_mine(const char *pid)
{
    return pid && strtoll(pid, NULL, 10) == (long long)getpid();
}

bool listen_inherited(int *fd, struct err *e)
{
    const char *count = getenv("LISTEN_FDS");
    bool given = count && is_mine(getenv("LISTEN_PID"));
    bool one = given && strcmp(count, "1") == 0;
    *fd = -1;
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    if (given && !one)
        return err_set(e, ERR_USAGE, "LISTEN_FDS: expected one socket to listen on");
    if (given)
        *fd = FIRST_INHERITED;
    return true;
}

bool listen_adopt(int fd, int *port, struct err *e)
{
    int listening = 0, found;
    socklen_t size = sizeof listening;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 || !listening)
        return err_set(e, ERR_USAGE, "descriptor %d: no socket that listens for connections", fd);
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) != 0)
        return err_errno(e, "descriptor %d", fd);
    found = port_of(fd);
    if (found)
        *port = found;
    return true;
}

int raise_connection_limit(int wanted)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0)
        return wanted;
    rlim_t need = (rlim_t)wanted + OTHER_FILES;
    if (r.rlim_cur < need) {
        r.rlim_cur = r.rlim_max < need ? r.rlim_max : need;
        setrlimit(RLIMIT_NOFILE, &r);
        getrlimit(RLIMIT_NOFILE, &r);
    }
    if (r.rlim_cur >= need)
        return wanted;
    return r.rlim_cur > 2 * OTHER_FILES ? (int)r.rlim_cur - OTHER_FILES : OTHER_FILES;
}
