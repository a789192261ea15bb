#include "transfer/transfer.h"

#include "base/clock.h"
#include "transfer/engine/copy.h"
#include "transfer/journal_copy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    GIVE_UP_AFTER = 16, /* files that failed one after the other, each after all its retries */
    RUN_PARTS = 8,      /* 64 MiB: at 60 MB/s a second, against 50 ms of asking for it */
    PAGE = 4096,
};

/* --- what to copy --- */

uint32_t transfer_part_size(uint64_t size, uint32_t part_bytes, int max_parts)
{
    uint64_t ranges = size / part_bytes + (size % part_bytes != 0);
    uint64_t times = ranges / (uint64_t)max_parts + (ranges % (uint64_t)max_parts != 0);
    uint64_t most = UINT32_MAX / part_bytes;
    return (uint32_t)(times == 0 ? 1 : times < most ? times : most) * part_bytes;
}

struct transfer *transfer_new(const struct transfer_options *o, struct err *e)
{
    struct transfer *t = calloc(1, sizeof *t);
    if (t)
        t->names = arena_new(SIZE_MAX);
    if (!t || !t->names) {
        free(t);
        err_set(e, ERR_MEMORY, "no memory for a transfer");
        return NULL;
    }
    t->opt = *o;
    if (t->opt.workers <= 0)
        t->opt.workers = TRANSFER_WORKERS;
    if (t->opt.part_bytes == 0)
        t->opt.part_bytes = TRANSFER_PART_BYTES;
    pthread_mutex_init(&t->locked.mutex, NULL);
    pthread_cond_init(&t->locked.changed, NULL);
    return t;
}

void transfer_free(struct transfer *t)
{
    if (!t)
        return;
    for (int i = 0; i < t->count; i++) {
        free(t->copies[i]->out.ranges);
        free((void *)(uintptr_t)t->copies[i]->out.problem);
    }
    free(t->copies);
    free(t->index);
    free(t->workers);
    free(t->locked.large.copies);
    free(t->locked.small.copies);
    pages_free(&t->buffers);
    pthread_cond_destroy(&t->locked.changed);
    pthread_mutex_destroy(&t->locked.mutex);
    arena_free(t->names);
    free(t);
}

/* --- targets, each only once: two files with one journal entry and one upload would mix --- */

static uint64_t hash(const struct store *to, const char *name)
{
    uint64_t h = 0xcbf29ce484222325 ^ (uint64_t)(uintptr_t)to; /* FNV-1a */
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 0x100000001b3;
    return h ^ h >> 32;
}

static int *find_slot(const struct transfer *t, const struct store *to, const char *target)
{
    size_t room = (size_t)t->index_room, at = hash(to, target) % room;
    while (t->index[at]) {
        const struct transfer_job *job = &t->copies[t->index[at] - 1]->job;
        if (job->to == to && strcmp(job->target, target) == 0)
            break;
        at = (at + 1) % room;
    }
    return &t->index[at];
}

static bool grow(struct transfer *t)
{
    int room = t->room ? t->room * 2 : 64;
    struct copy **copies = realloc(t->copies, (size_t)room * sizeof *copies);
    if (copies)
        t->copies = copies;
    int *index = copies ? calloc((size_t)room * 2, sizeof *index) : NULL; /* never more than half full */
    if (!index)
        return false;
    free(t->index);
    t->index = index;
    t->index_room = room * 2;
    t->room = room;
    for (int i = 0; i < t->count; i++)
        *find_slot(t, t->copies[i]->job.to, t->copies[i]->job.target) = i + 1;
    return true;
}

static char *keep(struct transfer *t, const char *text)
{
    return text ? arena_strndup(t->names, text, strlen(text)) : NULL;
}

/* What tells this content from any other; by name and time where the place knows no better. */
static char *identify(struct transfer *t, const struct entry *source)
{
    if (source->sha256)
        return arena_printf(t->names, "sha256:%s", source->sha256);
    if (source->git_blob)
        return arena_printf(t->names, "git:%s", source->git_blob);
    return arena_printf(t->names, "generation:%" PRId64 ":%s", source->generation, source->name);
}

static bool fill(struct transfer *t, struct copy *c, const struct transfer_job *job)
{
    const struct entry *s = &job->source;
    struct entry *kept = &c->job.source;
    c->job = *job;
    c->job.target = keep(t, job->target);
    kept->name = keep(t, s->name);
    kept->sha256 = keep(t, s->sha256);
    kept->git_blob = keep(t, s->git_blob);
    kept->updated = NULL;
    c->identity = identify(t, s);
    c->hashed = s->sha256 || s->git_blob || t->opt.want_ranges;
    c->within = !c->hashed && store_copies(job->from, job->to);
    c->out.name = kept->name;
    c->out.target = c->job.target;
    c->out.size = s->size;
    int max_parts = store_scheme(job->to) == URI_GS ? MULTIPART_MAX_PARTS : JOURNAL_MAX_PARTS / 2;
    c->part_bytes = transfer_part_size(s->size, t->opt.part_bytes, max_parts);
    c->parts = (int)(s->size / c->part_bytes + (s->size % c->part_bytes != 0));
    return c->job.target && kept->name && c->identity && !kept->sha256 == !s->sha256 &&
           !kept->git_blob == !s->git_blob;
}

bool transfer_add(struct transfer *t, const struct transfer_job *job, struct err *e)
{
    const char *name = job->source.name;
    if (job->from == job->to && strcmp(name, job->target) == 0)
        return err_set(e, ERR_USAGE, "%s: would be copied onto itself", name);
    if (t->count == INT32_MAX / 4 || (t->count == t->room && !grow(t)))
        return err_set(e, ERR_MEMORY, "no memory for %d files", t->count);
    int *slot = find_slot(t, job->to, job->target);
    if (*slot)
        return err_set(e, ERR_USAGE, "%s and %s would both become %s", t->copies[*slot - 1]->job.source.name,
                       name, job->target);
    struct copy *c = arena_alloc(t->names, 1, sizeof *c);
    if (!c || !fill(t, c, job))
        return err_set(e, ERR_MEMORY, "no memory for %d files", t->count);
    t->copies[t->count++] = c;
    *slot = t->count;
    t->locked.progress.bytes_total += job->source.size;
    t->locked.progress.files_total++;
    return true;
}

/* --- threads and buffers --- */

/* It goes in one piece: a thread has it to its end. */
static bool is_small(const struct transfer *t, const struct copy *c)
{
    uint32_t most = t->opt.part_bytes < TRANSFER_SMALL_BYTES ? t->opt.part_bytes : TRANSFER_SMALL_BYTES;
    return c->within || c->job.source.size <= most;
}

static bool fill_queues(struct transfer *t, struct err *e)
{
    struct queue *large = &t->locked.large, *small = &t->locked.small;
    large->copies = calloc((size_t)t->count * 2 + 1, sizeof(struct copy *)); /* each may come twice */
    small->copies = calloc((size_t)t->count + 1, sizeof(struct copy *));
    if (!large->copies || !small->copies)
        return err_set(e, ERR_MEMORY, "no memory for %d files", t->count);
    for (int i = 0; i < t->count; i++) {
        struct queue *q = is_small(t, t->copies[i]) ? small : large;
        q->copies[q->count++] = t->copies[i];
    }
    return true;
}

static size_t largest_piece(const struct queue *q)
{
    uint64_t most = 0;
    for (int i = 0; i < q->count; i++) {
        const struct copy *c = q->copies[i];
        uint64_t size = c->job.source.size < c->part_bytes ? c->job.source.size : c->part_bytes;
        if (c->within)
            continue;
        most = size > most ? size : most;
    }
    return (size_t)(most + PAGE - 1) / PAGE * PAGE;
}

/* As many as fit into the memory of opt.workers parts: parts of a very large file are longer. */
static int count_large_workers(const struct transfer *t, size_t piece)
{
    uint64_t window = (uint64_t)t->opt.workers * t->opt.part_bytes;
    uint64_t n = piece > t->opt.part_bytes ? window / piece : (uint64_t)t->opt.workers;
    if (t->locked.large.count == 0)
        return 0;
    return n ? (int)n : 1;
}

static int count_small_workers(const struct transfer *t)
{
    int most = t->opt.workers * (TRANSFER_SMALL_WORKERS / TRANSFER_WORKERS);
    return t->locked.small.count < most ? t->locked.small.count : most;
}

static bool make_workers(struct transfer *t, struct err *e)
{
    size_t piece = largest_piece(&t->locked.large), small_piece = largest_piece(&t->locked.small);
    int large = count_large_workers(t, piece), small = count_small_workers(t);
    t->workers = calloc((size_t)(large + small) + 1, sizeof *t->workers);
    if (!t->workers)
        return err_set(e, ERR_MEMORY, "no memory for %d threads", large + small);
    if (!pages_alloc(&t->buffers, (size_t)large * piece + (size_t)small * small_piece, e))
        return false;
    char *at = t->buffers.data;
    for (t->worker_count = 0; t->worker_count < large + small; t->worker_count++) {
        bool is_small = t->worker_count >= large;
        size_t room = is_small ? small_piece : piece;
        t->workers[t->worker_count] = (struct worker){.t = t, .small = is_small, .buffer = at, .room = room};
        at += room;
    }
    return true;
}

/* --- what to do next --- */

struct task {
    struct copy *copy;
    int part;  /* -1: the whole of a file; -2: open a large one */
    int parts; /* that one request brings */
};

static bool ended_locked(const struct transfer *t)
{
    return transfer_stopped(t) || t->locked.failures_in_row >= GIVE_UP_AFTER;
}

/* The open file with the fewest carriers that still has parts to hand out: files are hashed side by side. */
static struct copy *pick_open_locked(const struct transfer *t)
{
    struct copy *best = NULL;
    for (struct copy *c = t->locked.open; c; c = c->locked.next)
        if (!c->locked.failed && c->locked.next_part < c->parts &&
            (!best || c->locked.carried < best->locked.carried))
            best = c;
    return best;
}

/* A request costs the way there and back, in which its connection brings nothing: what comes from a bucket
 * into a file comes in runs of parts; shorter ones towards the end, so that all connections end together. */
static int run_locked(const struct transfer *t, const struct copy *c)
{
    uint64_t left = (t->locked.progress.bytes_total - t->locked.progress.bytes_done) / c->part_bytes;
    uint64_t fair = left / (uint64_t)t->opt.workers;
    int most = c->parts - c->locked.next_part;
    bool single = c->hashed || c->ordered || store_scheme(c->job.from) != URI_GS ||
                  store_scheme(c->job.to) != URI_LOCAL;
    int run = single || fair < 1 ? 1 : fair < RUN_PARTS ? (int)fair : RUN_PARTS;
    return run < most ? run : most;
}

static bool take_whole_locked(struct worker *w, struct queue *q, int part, struct task *task)
{
    if (q->next == q->count)
        return false;
    *task = (struct task){q->copies[q->next++], part, 0};
    task->copy->out.state = TRANSFER_RUNNING;
    w->t->locked.opening += part == -2;
    return true;
}

static bool try_take_locked(struct worker *w, struct task *task)
{
    struct transfer *t = w->t;
    if (!w->small && t->locked.open_count + t->locked.opening < t->opt.workers &&
        take_whole_locked(w, &t->locked.large, -2, task))
        return true;
    struct copy *open = w->small ? NULL : pick_open_locked(t);
    if (open) {
        *task = (struct task){open, open->locked.next_part, run_locked(t, open)};
        open->locked.next_part += task->parts;
        open->locked.carried++;
        return true;
    }
    return take_whole_locked(w, &t->locked.small, -1, task);
}

/* A large file that is being opened will have parts for all; one that is open may begin again. */
static bool more_may_come_locked(const struct worker *w)
{
    return !w->small && (w->t->locked.opening > 0 || w->t->locked.open_count > 0);
}

static bool take(struct worker *w, struct task *task)
{
    struct transfer *t = w->t;
    bool taken = false;
    pthread_mutex_lock(&t->locked.mutex);
    while (!ended_locked(t)) {
        taken = try_take_locked(w, task);
        if (taken || !more_may_come_locked(w))
            break;
        pthread_cond_wait(&t->locked.changed, &t->locked.mutex);
    }
    w->at = taken ? task->copy : NULL;
    pthread_cond_broadcast(&t->locked.changed); /* at the end, all look again */
    pthread_mutex_unlock(&t->locked.mutex);
    return taken;
}

/* --- the journal's copy --- */

static void write_copy(struct transfer *t)
{
    struct err ignored = {0};
    if (!journal_copy_write(t->opt.journal, t->opt.copy_to, t->opt.copy_name, &ignored))
        return; /* it only saves work elsewhere; if the place is out of order, the parts say so */
}

static void write_copy_if_old(struct transfer *t)
{
    if (!t->opt.copy_name || !t->opt.journal)
        return;
    pthread_mutex_lock(&t->locked.mutex);
    uint64_t now = clock_ns();
    bool old = t->locked.uncopied && !t->locked.copying &&
               now - t->locked.copied_ns >= TRANSFER_COPY_SECONDS * 1000000000ull;
    if (old) {
        t->locked.copying = true;
        t->locked.uncopied = false;
    }
    pthread_mutex_unlock(&t->locked.mutex);
    if (!old)
        return;
    write_copy(t);
    pthread_mutex_lock(&t->locked.mutex);
    t->locked.copied_ns = clock_ns();
    t->locked.copying = false;
    pthread_mutex_unlock(&t->locked.mutex);
}

/* --- running --- */

static void *work(void *arg)
{
    struct worker *w = arg;
    struct task task;
    while (take(w, &task)) {
        if (task.part == -2)
            large_open(w, task.copy);
        else if (task.part == -1 && task.copy->within)
            within_carry(w, task.copy);
        else if (task.part == -1)
            small_carry(w, task.copy);
        else
            large_parts(w, task.copy, task.part, task.parts);
        write_copy_if_old(w->t);
    }
    return NULL;
}

/* Signals are for the thread that called. Fewer threads than wanted will do. */
static int start_threads(struct transfer *t, struct err *e)
{
    sigset_t all, before;
    int started = 0, problem = 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (started < t->worker_count &&
           (problem = pthread_create(&t->workers[started].thread, NULL, work, &t->workers[started])) == 0)
        started++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (started == 0 && problem)
        err_set(e, ERR_MEMORY, "no thread to be had: %s", strerror(problem));
    return started;
}

/* Small files are left over when threads for them could not be had: the caller's thread takes them. */
static void run_workers(struct transfer *t, int started)
{
    if (started < t->worker_count)
        work(&t->workers[started]);
    for (int i = 0; i < started; i++)
        pthread_join(t->workers[i].thread, NULL);
}

static bool tell(struct transfer *t, struct err *e)
{
    const struct transfer_progress *p = &t->locked.progress;
    int left = p->files_total - p->files_done - p->files_skipped - p->files_failed;
    if (t->locked.first_problem.kind != ERR_NONE)
        *e = t->locked.first_problem;
    else if (left)
        err_set(e, ERR_CANCELLED, "interrupted with %d of %d files to go", left, p->files_total);
    return p->files_failed == 0 && left == 0;
}

/* Under the mutex, since a display may be asking for the progress already. */
static bool prepare(struct transfer *t, struct err *e)
{
    pthread_mutex_lock(&t->locked.mutex);
    bool ok = fill_queues(t, e) && make_workers(t, e);
    t->locked.copied_ns = clock_ns();
    pthread_mutex_unlock(&t->locked.mutex);
    return ok;
}

bool transfer_run(struct transfer *t, struct err *e)
{
    if (!prepare(t, e))
        return false;
    int started = start_threads(t, e);
    if (started == 0 && t->worker_count)
        return false;
    run_workers(t, started);
    while (t->locked.open)
        large_close(t, t->locked.open);
    bool ok = tell(t, e);
    if (!ok && t->opt.copy_name && t->opt.journal && t->locked.uncopied)
        write_copy(t);
    return ok;
}

int transfer_count(const struct transfer *t)
{
    return t->count;
}

const struct transfer_file *transfer_at(const struct transfer *t, int i)
{
    return &t->copies[i]->out;
}

/* --- progress --- */

static void add_flight(struct transfer_progress *p, const struct copy *c)
{
    enum { MOST = sizeof p->flight / sizeof *p->flight };
    for (int i = 0; i < p->running; i++)
        if (p->flight[i].name == c->out.name)
            return;
    if (p->running == MOST)
        return;
    p->flight[p->running].name = c->out.name;
    p->flight[p->running].size = c->out.size;
    p->flight[p->running++].done = c->locked.done;
}

void transfer_progress(struct transfer *t, struct transfer_progress *p)
{
    pthread_mutex_lock(&t->locked.mutex);
    *p = t->locked.progress;
    for (const struct copy *c = t->locked.open; c; c = c->locked.next)
        add_flight(p, c);
    for (int i = 0; i < t->worker_count; i++)
        if (t->workers[i].at)
            add_flight(p, t->workers[i].at);
    pthread_mutex_unlock(&t->locked.mutex);
}
