#include "cmd/progress.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/stop.h"
#include "cmd/progress_line.h"
#include "cmd/terminal.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { REDRAW_MS = 100, LINE_MS = 5000 };

struct progress {
    struct progress_options opt; /* set once */
    bool terminal;
    pthread_t thread;
    struct {
        pthread_mutex_t mutex;
        pthread_cond_t changed;
        bool end;
    } locked;
    /* the thread's own */
    struct rate rate;
    int drawn; /* lines on the screen */
    double next_line_ms;
    char frame[PROGRESS_FRAME_BYTES], screen[PROGRESS_FRAME_BYTES + 4096];
};

void progress_of_transfer(void *transfer, struct transfer_progress *p)
{
    transfer_progress(transfer, p);
}

static void write_all(const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t n = write(STDERR_FILENO, bytes, size);
        if (n <= 0)
            return; /* a display nobody can see is no reason to stop copying */
        bytes += n;
        size -= (size_t)n;
    }
}

static void screen_size(int *width, int *height)
{
    struct winsize w = {0};
    bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 && w.ws_row > 0;
    *width = known ? w.ws_col : 80;
    *height = known ? w.ws_row : 24;
}

/* Back to the first line drawn. */
static char *cursor_home(const struct progress *p, char *at)
{
    return p->drawn ? at + sprintf(at, "\033[%dA", p->drawn) : at;
}

/* Each line is overwritten in place and the rest of it cleared behind, all in one write: nothing flickers. */
static void draw(struct progress *p, const struct transfer_progress *now)
{
    struct progress_view v = {.p = now,
                              .bytes_per_second = rate_per_second(&p->rate),
                              .stopping = stop_wanted(p->opt.stop),
                              .bold = terminal_style(STDERR_FILENO, STYLE_BOLD),
                              .dim = terminal_style(STDERR_FILENO, STYLE_DIM),
                              .plain = terminal_style(STDERR_FILENO, STYLE_PLAIN)};
    screen_size(&v.width, &v.height);
    int lines = progress_frame(&v, p->frame);
    char *at = stpcpy(cursor_home(p, p->screen), "\r");
    for (const char *line = p->frame, *end; (end = strchr(line, '\n')); line = end + 1) {
        at = mempcpy(at, line, (size_t)(end - line));
        at = stpcpy(at, "\033[K\n");
    }
    at = stpcpy(at, "\033[J");
    write_all(p->screen, (size_t)(at - p->screen));
    p->drawn = lines;
}

static void erase(struct progress *p)
{
    char *at = stpcpy(cursor_home(p, p->screen), "\r\033[J");
    if (p->drawn)
        write_all(p->screen, (size_t)(at - p->screen));
    p->drawn = 0;
}

static void log_line(struct progress *p, const struct transfer_progress *now)
{
    double rate = rate_per_second(&p->rate);
    uint64_t left = now->bytes_total > now->bytes_done ? now->bytes_total - now->bytes_done : 0;
    struct log_field seconds = rate >= 1 ? LOG_INT("seconds_left", (double)left / rate) : LOG_END;

    log_info(p->opt.what, LOG_INT("bytes_done", now->bytes_done), LOG_INT("bytes_total", now->bytes_total),
             LOG_INT("files_done", now->files_done + now->files_skipped),
             LOG_INT("files_total", now->files_total), LOG_INT("files_failed", now->files_failed),
             LOG_INT("bytes_per_second", rate), seconds, LOG_END);
}

/* In order of their names they keep their lines on the screen. */
static int by_name(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b; /* name is the first member */
    return *x && *y ? strcmp(*x, *y) : (*x != NULL) - (*y != NULL);
}

static void show(struct progress *p)
{
    struct transfer_progress now = {0};
    double ms = clock_ms();

    p->opt.sample(p->opt.arg, &now);
    int most = (int)(sizeof now.flight / sizeof *now.flight);
    qsort(now.flight, (size_t)(now.running < most ? now.running : most), sizeof *now.flight, by_name);
    rate_add(&p->rate, ms, now.bytes_moved);
    if (p->terminal) {
        draw(p, &now);
    } else if (ms >= p->next_line_ms) {
        log_line(p, &now);
        p->next_line_ms = ms + LINE_MS;
    }
}

static struct timespec in_ms(int ms)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += (long)ms * 1000000;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    return t;
}

static void *run(void *arg)
{
    struct progress *p = arg;
    pthread_mutex_lock(&p->locked.mutex);
    while (!p->locked.end) {
        pthread_mutex_unlock(&p->locked.mutex);
        show(p);
        struct timespec until = in_ms(p->terminal ? REDRAW_MS : 2 * REDRAW_MS);
        pthread_mutex_lock(&p->locked.mutex);
        while (!p->locked.end && pthread_cond_timedwait(&p->locked.changed, &p->locked.mutex, &until) == 0)
            ;
    }
    pthread_mutex_unlock(&p->locked.mutex);
    erase(p);
    return NULL;
}

/* Signals are for the main thread: they wake what it waits in. */
static bool start_thread(struct progress *p)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool ok = pthread_create(&p->thread, NULL, run, p) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return ok;
}

/* A terminal that can move its cursor; colour or not is terminal_style's business. */
static bool can_redraw(void)
{
    const char *term = getenv("TERM");
    return terminal_is(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
}

struct progress *progress_start(const struct progress_options *o, struct err *e)
{
    struct progress *p = calloc(1, sizeof *p);
    pthread_condattr_t attr;

    if (!p) {
        err_set(e, ERR_MEMORY, "no memory for the progress display");
        return NULL;
    }
    p->opt = *o;
    p->terminal = can_redraw();
    p->next_line_ms = clock_ms() + LINE_MS;
    pthread_mutex_init(&p->locked.mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&p->locked.changed, &attr);
    pthread_condattr_destroy(&attr);
    if (o->quiet || start_thread(p))
        return p;
    p->opt.quiet = true;
    progress_end(p);
    err_set(e, ERR_MEMORY, "cannot start the thread that shows the progress");
    return NULL;
}

void progress_end(struct progress *p)
{
    if (!p)
        return;
    if (!p->opt.quiet) {
        pthread_mutex_lock(&p->locked.mutex);
        p->locked.end = true;
        pthread_cond_signal(&p->locked.changed);
        pthread_mutex_unlock(&p->locked.mutex);
        pthread_join(p->thread, NULL);
    }
    pthread_cond_destroy(&p->locked.changed);
    pthread_mutex_destroy(&p->locked.mutex);
    free(p);
}
