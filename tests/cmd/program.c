#include "program.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

enum { MAX_WORDS = 30 };

void program_start(struct program *p, const char *ferry, const char *const *words)
{
    int in[2], out[2], err[2];
    char *args[MAX_WORDS + 2] = {strdup(ferry)};
    for (int i = 0; i < MAX_WORDS && words[i]; i++)
        args[i + 1] = strdup(words[i]);
    assert_int_equal(pipe(in) | pipe(out) | pipe(err), 0);
    p->pid = fork();
    assert_true(p->pid >= 0);
    if (p->pid == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        dup2(err[1], STDERR_FILENO);
        for (int fd = 3; fd < 64; fd++)
            close(fd);
        execv(ferry, args);
        _exit(127);
    }
    close(in[0]), close(out[1]), close(err[1]);
    for (char **a = args; *a; a++)
        free(*a);
    *p = (struct program){.pid = p->pid, .in = in[1], .out = out[0], .err = err[0]};
}

/* Appends what is there; false at the end of the stream. */
static int take(int fd, char *text, size_t room)
{
    size_t used = strlen(text);
    char rest[256];
    ssize_t n = used + 1 < room ? read(fd, text + used, room - 1 - used) : read(fd, rest, sizeof rest);
    if (n > 0 && used + 1 < room)
        text[used + (size_t)n] = 0;
    return n > 0;
}

struct program_log {
    pthread_t thread;
    int from;
    char text[sizeof((struct outcome *)0)->err];
};

static void *read_log(void *arg)
{
    struct program_log *log = arg;
    while (take(log->from, log->text, sizeof log->text))
        ;
    return NULL;
}

static void begin_log(struct program *p)
{
    p->log = calloc(1, sizeof *p->log);
    assert_non_null(p->log);
    p->log->from = p->err;
    assert_int_equal(pthread_create(&p->log->thread, NULL, read_log, p->log), 0);
}

static void end_log(struct program *p, struct outcome *o)
{
    if (!p->log)
        return;
    pthread_join(p->log->thread, NULL);
    memcpy(o->err, p->log->text, sizeof o->err);
    free(p->log);
}

static void read_both(struct program *p, struct outcome *o)
{
    struct pollfd fds[] = {{.fd = p->out, .events = POLLIN}, {.fd = p->log ? -1 : p->err, .events = POLLIN}};
    while (fds[0].fd >= 0 || fds[1].fd >= 0) {
        assert_true(poll(fds, 2, 120000) > 0);
        if (fds[0].revents && !take(p->out, o->out, sizeof o->out))
            fds[0].fd = -1;
        if (fds[1].revents && !take(p->err, o->err, sizeof o->err))
            fds[1].fd = -1;
    }
}

void program_finish(struct program *p, const char *input, struct outcome *o)
{
    int status;
    signal(SIGPIPE, SIG_IGN);
    o->out[0] = o->err[0] = 0;
    if (input && write(p->in, input, strlen(input)) < 0)
        print_message("it did not read its input\n");
    close(p->in);
    read_both(p, o);
    end_log(p, o);
    close(p->out), close(p->err);
    assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
    o->code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void program_run(const char *ferry, const char *const *words, const char *input, struct outcome *o)
{
    struct program p;
    program_start(&p, ferry, words);
    program_finish(&p, input, o);
}

int program_serve(struct program *p, const char *ferry, const char *folder)
{
    const char *const words[] = {"serve",     folder,   "--port", "0", "--host",
                                 "127.0.0.1", "--math", "exact",  NULL};
    char log[8192] = "";
    program_start(p, ferry, words);
    while (!strstr(log, "\"message\":\"ready\""))
        if (!take(p->err, log, sizeof log))
            fail_msg("the service did not get ready: %s", log);
    const char *port = strstr(log, "\"port\":");
    assert_non_null(port);
    begin_log(p);
    return atoi(port + 7);
}
