#include "peers.h"

#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

typedef void (*line_fn)(void *arg, const char *line);

/* Starts a program whose stdout and stderr both end in the pipe's write end. */
static bool start(const char *const *argv, const int ends[2], pid_t *pid, struct err *e)
{
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    posix_spawn_file_actions_addclose(&actions, ends[1]);
    int failed = posix_spawnp(pid, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return failed == 0 || err_set(e, ERR_IO, "%s: %s", argv[0], strerror(failed));
}

/* Runs a program to its end, handing each line it prints to fn. False with *e set when it cannot be started
 * or does not exit with 0. */
static bool run(const char *const *argv, line_fn fn, void *arg, struct err *e)
{
    int ends[2], status = 0;
    pid_t pid;
    if (pipe(ends) != 0)
        return err_errno(e, "pipe");
    bool started = start(argv, ends, &pid, e);
    close(ends[1]);
    FILE *in = started ? fdopen(ends[0], "r") : NULL;
    if (!in)
        close(ends[0]);
    char *line = NULL;
    size_t room = 0;
    while (in && getline(&line, &room, in) > 0)
        fn(arg, line);
    free(line);
    if (in)
        fclose(in);
    if (!started)
        return false;
    waitpid(pid, &status, 0);
    return status == 0 || err_set(e, ERR_IO, "%s failed: wait status %d", argv[0], status);
}

struct table {
    struct llama_row *rows;
    size_t count, room;
};

/* |    PP |     TG |    B |   N_KV |   T_PP s | S_PP t/s |   T_TG s | S_TG t/s |      T s |    S t/s | */
static void table_line(void *arg, const char *line)
{
    struct table *t = arg;
    struct llama_row r;
    if (t->count < t->room && sscanf(line, "| %d | %d | %d | %*d | %*f | %lf | %*f | %lf |", &r.prompt,
                                     &r.generated, &r.sequences, &r.prefill_per_s, &r.decode_per_s) == 5)
        t->rows[t->count++] = r;
}

bool peer_llama(const struct peer *p, int prompt, int generated, const int *counts, size_t n,
                struct llama_row *rows, struct err *e)
{
    char threads[16], npp[16], ntg[16], npl[64] = "", context[16];
    int most = 0;
    for (size_t i = 0; i < n; i++) {
        size_t used = strlen(npl);
        snprintf(npl + used, sizeof npl - used, "%s%d", i ? "," : "", counts[i]);
        most = counts[i] > most ? counts[i] : most;
    }
    snprintf(threads, sizeof threads, "%d", p->threads);
    snprintf(npp, sizeof npp, "%d", prompt);
    snprintf(ntg, sizeof ntg, "%d", generated);
    snprintf(context, sizeof context, "%d", most * ((prompt + generated + 255) / 256 * 256));
    const char *argv[] = {p->path, "-m", p->model, "-t", threads, "-c", context,
                          "-npp",  npp,  "-ntg",   ntg,  "-npl",  npl,  NULL};

    struct table table = {.rows = rows, .room = n};
    if (!run(argv, table_line, &table, e))
        return false;
    for (size_t i = 0; i < n; i++)
        if (i >= table.count || rows[i].sequences != counts[i] || rows[i].prompt != prompt)
            return err_set(e, ERR_CORRUPT, "%s: no row of %d tokens and %d sequences in its table", p->path,
                           prompt, counts[i]);
    return true;
}

/* whisper_print_timings:   encode time = 12843.09 ms /     1 runs ( 12843.09 ms per run) */
static void timing_line(void *arg, const char *line)
{
    const char *at = strstr(line, "encode time =");
    if (at)
        sscanf(at, "encode time = %*f ms / %*d runs ( %lf ms per run", (double *)arg);
}

bool peer_whisper(const struct peer *p, double *encode_ms, struct err *e)
{
    char threads[16];
    snprintf(threads, sizeof threads, "%d", p->threads);
    const char *argv[] = {p->path, "-m", p->model, "-t", threads, NULL};
    *encode_ms = 0;
    if (!run(argv, timing_line, encode_ms, e))
        return false;
    return *encode_ms > 0 || err_set(e, ERR_CORRUPT, "%s printed no encode time", p->path);
}
