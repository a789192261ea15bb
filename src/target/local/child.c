#include "target/local/child.h"

#include "target/local/environment.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BACKLOG = 4096, SOCKET_FD = 3, ASK_RARELY_MS = 500, ASK_LONGEST_MS = 5000 };

/* --- its output --- */

/* What people should read of it when it fails: its last words. */
static void note_problem(struct child *c, const char *line)
{
    json_t *event = *line == '{' ? json_loads(line, 0, NULL) : NULL;
    const char *severity = json_string_value(json_object_get(event, "severity"));
    const char *message = json_string_value(json_object_get(event, "message"));
    static const char own[] = "ferry: serve: ";
    if (!event)
        message = strncmp(line, own, sizeof own - 1) == 0 ? line + sizeof own - 1 : line;
    else if (!severity || strcmp(severity, "ERROR") != 0)
        message = NULL;
    if (message && *message)
        snprintf(c->problem, sizeof c->problem, "%.490s", message);
    json_decref(event);
}

static void end_line(struct child *c)
{
    log_file_line(c->log, c->line, c->line_size);
    c->line[c->line_size] = 0;
    note_problem(c, c->line);
    c->line_size = 0;
}

/* False: nothing is there now, or any more. */
static bool read_output(struct child *c)
{
    char bytes[4096];
    ssize_t n = read(c->output.fd, bytes, sizeof bytes);
    for (ssize_t i = 0; i < n; i++) {
        if (bytes[i] != '\n')
            c->line[c->line_size++] = bytes[i];
        if (bytes[i] == '\n' || c->line_size + 1 == sizeof c->line)
            end_line(c);
    }
    if (n == 0)
        loop_drop(c->loop, &c->output);
    return n > 0;
}

static void output_ready(struct watcher *w, uint32_t events)
{
    (void)events;
    read_output((struct child *)((char *)w - offsetof(struct child, output)));
}

/* --- is it loaded? --- */

static void asking_ready(struct watcher *w, uint32_t events)
{
    struct child *c = (struct child *)((char *)w - offsetof(struct child, asking));
    char reply[64];
    ssize_t n = recv(w->fd, reply, sizeof reply, 0);
    (void)events;
    if (n < 0 && errno == EAGAIN)
        return;
    c->ready = c->ready || (n >= 12 && memcmp(reply, "HTTP/1.1 200", 12) == 0);
    loop_drop(c->loop, w);
}

void child_ask(struct child *c, double now_ms)
{
    static const char question[] = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    double pause = fmin(fmax((now_ms - c->started_ms) / 10, CHILD_ASK_MS), ASK_RARELY_MS);
    if (c->ready || now_ms - c->asked_ms < (c->asking.fd >= 0 ? ASK_LONGEST_MS : pause))
        return;
    loop_drop(c->loop, &c->asking);
    c->asked_ms = now_ms;
    c->asking.fd = child_connect(c);
    bool sent = c->asking.fd >= 0 && send(c->asking.fd, question, sizeof question - 1, MSG_NOSIGNAL) ==
                                         (ssize_t)sizeof question - 1;
    if (!sent || !loop_watch(c->loop, &c->asking, EPOLLIN))
        loop_drop(c->loop, &c->asking);
}

/* --- its begin --- */

/* A listening socket with a name that the kernel picks. */
static int open_socket(struct child *c, struct err *e)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    c->address.sun_family = AF_UNIX;
    c->address_size = sizeof c->address;
    if (fd >= 0 && bind(fd, (struct sockaddr *)&c->address, sizeof(sa_family_t)) == 0 &&
        listen(fd, BACKLOG) == 0 && getsockname(fd, (struct sockaddr *)&c->address, &c->address_size) == 0)
        return fd;
    err_errno(e, "cannot make a socket for the server");
    if (fd >= 0)
        close(fd);
    return -1;
}

static void limit_memory(struct child *c, const struct spec *s, int number)
{
    char name[100];
    struct err why = {0};
    if (!s->memory_bytes)
        return;
    snprintf(name, sizeof name, "ferry-%s-%ld-%d", s->name, (long)getpid(), number);
    if (!memory_limit_make(&c->limit, name, s->memory_bytes, &why))
        snprintf(c->limit_note, sizeof c->limit_note, "no memory limit is enforced: %.250s", why.text);
}

/* Puts the socket where LISTEN_FDS says it is, and the pipe where output goes; both without close-on-exec. */
static bool arrange_descriptors(int socket_fd, int output)
{
    int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (in < 0 || dup2(in, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
        dup2(output, STDERR_FILENO) < 0)
        return false;
    return socket_fd == SOCKET_FD ? fcntl(SOCKET_FD, F_SETFD, 0) == 0 : dup2(socket_fd, SOCKET_FD) >= 0;
}

/* In the new process; does not return. */
static void become_server(const struct child *c, const struct spec *s, char **environment, pid_t parent,
                          int socket_fd, int output)
{
    char *words[] = {(char *)(uintptr_t) "ferry", (char *)(uintptr_t) "serve", NULL};
    sigset_t none;
    sigemptyset(&none);
    /* the socket may sit on 0, 1 or 2, which are about to be replaced, when this process has them closed */
    socket_fd = socket_fd <= STDERR_FILENO ? fcntl(socket_fd, F_DUPFD_CLOEXEC, SOCKET_FD) : socket_fd;
    setsid(); /* Ctrl-C at a terminal is for the activator, which then tells it to end in its own way */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(1);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (arrange_descriptors(socket_fd, output) && (!*c->limit.folder || memory_limit_enter(&c->limit, 0))) {
        environment_set_pid(environment);
        execve(s->program, words, environment);
    }
    dprintf(STDERR_FILENO, "ferry: serve: cannot run %s: %s\n", s->program, strerror(errno));
    _exit(127);
}

static bool fork_server(struct child *c, const struct spec *s, char **environment, int socket_fd,
                        struct err *e)
{
    int ends[2];
    pid_t parent = getpid();
    if (pipe2(ends, O_CLOEXEC) != 0)
        return err_errno(e, "pipe");
    c->pid = fork();
    if (c->pid == 0)
        become_server(c, s, environment, parent, socket_fd, ends[1]);
    close(ends[1]);
    c->output.fd = ends[0];
    if (c->pid < 0)
        return err_errno(e, "cannot start a process");
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    return loop_watch(c->loop, &c->output, EPOLLIN) || err_errno(e, "epoll");
}

struct child *child_start(const struct spec *s, char *const *environment, int number, struct loop *l,
                          struct log_file *log, double now_ms, struct err *e)
{
    struct child *c = calloc(1, sizeof *c);
    char **variables = environment_of_server(environment, s);
    bool ok = false;
    if (!c || !variables) {
        err_set(e, ERR_MEMORY, "no memory to start the server");
    } else {
        *c = (struct child){.loop = l,
                            .log = log,
                            .started_ms = now_ms,
                            .output = {.fd = -1, .ready = output_ready},
                            .asking = {.fd = -1, .ready = asking_ready}};
        int fd = open_socket(c, e);
        limit_memory(c, s, number);
        ok = fd >= 0 && fork_server(c, s, variables, fd, e);
        if (fd >= 0)
            close(fd);
    }
    environment_free(variables);
    if (ok)
        return c;
    child_free(c);
    return NULL;
}

/* --- its life and end --- */

int child_connect(const struct child *c)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&c->address, c->address_size) == 0)
        return fd;
    int problem = errno;
    close(fd);
    errno = problem;
    return -1;
}

void child_stop(struct child *c, double now_ms)
{
    if (c->stopped || c->ended)
        return;
    c->stopped = true;
    c->stopped_ms = now_ms;
    kill(c->pid, SIGTERM);
}

void child_kill(struct child *c)
{
    if (!c->ended && !c->killed)
        kill(c->pid, SIGKILL);
    c->killed = true;
}

bool child_reap(struct child *c)
{
    if (c->ended || c->pid <= 0 || waitpid(c->pid, &c->status, WNOHANG) != c->pid)
        return c->ended;
    c->ended = true;
    while (c->output.fd >= 0 && read_output(c))
        ;
    if (c->line_size)
        end_line(c);
    return true;
}

void child_free(struct child *c)
{
    if (!c)
        return;
    if (c->pid > 0 && !c->ended) {
        kill(c->pid, SIGKILL);
        waitpid(c->pid, &c->status, 0);
    }
    loop_drop(c->loop, &c->output);
    loop_drop(c->loop, &c->asking);
    memory_limit_remove(&c->limit);
    free(c);
}

void child_why(const struct child *c, char out[CHILD_WHY])
{
    const char *over = memory_limit_kills(&c->limit) > 0 ? ", over its memory limit" : "";
    const char *said = *c->problem ? ": " : "";
    if (WIFSIGNALED(c->status))
        snprintf(out, CHILD_WHY, "it was killed (signal %d%s)%s%s", WTERMSIG(c->status), over, said,
                 c->problem);
    else
        snprintf(out, CHILD_WHY, "it ended with code %d%s%s", WEXITSTATUS(c->status), said, c->problem);
}

uint64_t child_memory(const struct child *c)
{
    char path[40], line[200];
    unsigned long long kib = 0;
    snprintf(path, sizeof path, "/proc/%ld/status", (long)c->pid);
    FILE *f = c->ended ? NULL : fopen(path, "re");
    while (f && fgets(line, sizeof line, f) && sscanf(line, "VmRSS: %llu kB", &kib) != 1)
        ;
    if (f)
        fclose(f);
    return (uint64_t)kib << 10;
}
