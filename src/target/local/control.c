#include "target/local/control.h"

#include "base/stop.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LOOK_MS = 100 };

int control_connect(const struct home *p, struct err *e)
{
    struct sockaddr_un address;
    home_control(p, &address);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    if (errno == ENOENT || errno == ECONNREFUSED)
        err_set(e, ERR_NOT_FOUND, "its activator does not run");
    else
        err_errno(e, "cannot reach its activator");
    if (fd >= 0)
        close(fd);
    return -1;
}

static bool send_all(int fd, const char *bytes, size_t size, struct err *e)
{
    while (size > 0) {
        ssize_t n = send(fd, bytes, size, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            return err_errno(e, "cannot tell its activator");
        bytes += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

static bool send_request(int fd, const json_t *request, const char *bytes, size_t size, struct err *e)
{
    char *line = request ? json_dumps(request, JSON_COMPACT) : NULL;
    bool ok =
        line ? send_all(fd, line, strlen(line), e) && send_all(fd, "\n", 1, e) && send_all(fd, bytes, size, e)
             : err_set(e, ERR_MEMORY, "no memory to tell its activator");
    free(line);
    return ok;
}

/* Until a whole line is at the front of text; *line: its size without \n. */
static bool read_line(int fd, char *text, size_t *have, size_t *line, const volatile sig_atomic_t *stop,
                      struct err *e)
{
    char *end;
    while (!(end = memchr(text, '\n', *have))) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (stop_wanted(stop))
            return err_set(e, ERR_CANCELLED, "interrupted");
        if (*have == CONTROL_MAX_LINE)
            return err_set(e, ERR_CORRUPT, "its activator's answer is too long");
        if (poll(&p, 1, LOOK_MS) <= 0)
            continue;
        ssize_t n = recv(fd, text + *have, CONTROL_MAX_LINE - *have, 0);
        if (n == 0)
            return err_set(e, ERR_TRANSIENT, "its activator ended before it answered");
        if (n < 0 && errno != EINTR)
            return err_errno(e, "its activator");
        *have += n > 0 ? (size_t)n : 0;
    }
    *line = (size_t)(end - text);
    return true;
}

json_t *control_ask(int fd, const json_t *request, const char *bytes, size_t size,
                    const volatile sig_atomic_t *stop, control_say_fn say, void *arg, struct err *e)
{
    struct err problem = {0};
    size_t have = 0, line = 0;
    json_t *answer = NULL;
    char *text = malloc(CONTROL_MAX_LINE);
    if (!text)
        err_set(&problem, ERR_MEMORY, "no memory for an answer");
    bool ok = text && send_request(fd, request, bytes, size, &problem);
    while (ok && !answer && problem.kind == ERR_NONE && read_line(fd, text, &have, &line, stop, &problem)) {
        control_answer_parse(text, line, say, arg, &answer, &problem);
        have -= line + 1;
        memmove(text, text + line + 1, have);
    }
    if (!answer)
        *e = problem;
    free(text);
    close(fd);
    return answer;
}
