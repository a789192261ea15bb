#include "cmd/copying.h"

#include "base/clock.h"
#include "base/stop.h"
#include "cmd/human.h"
#include "cmd/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct option rows[] = {
    {.name = "workers",
     .letter = 'w',
     .type = OPTION_INT,
     .argument = "N",
     .env = "FERRY_WORKERS",
     .preset = "8",
     .min = 1,
     .max = 64,
     .offset = offsetof(struct copy_settings, workers),
     .help = "parts of large files moved at a time, 8 MiB of memory each"},
    {.name = "dry-run",
     .type = OPTION_FLAG,
     .offset = offsetof(struct copy_settings, dry_run),
     .help = "say what would be copied, and copy nothing"},
    {.name = "json",
     .type = OPTION_FLAG,
     .offset = offsetof(struct copy_settings, json),
     .help = "print the result as one JSON object"},
    {.name = "quiet",
     .letter = 'q',
     .type = OPTION_FLAG,
     .offset = offsetof(struct copy_settings, quiet),
     .help = "show no progress"},
};

const struct option_group copy_group = {"Copying", rows, sizeof rows / sizeof *rows};

struct copy_outcome copying_outcome(const struct transfer *t)
{
    struct copy_outcome o = {0};
    for (int i = 0; i < transfer_count(t); i++) {
        const struct transfer_file *f = transfer_at(t, i);
        o.copied += f->state == TRANSFER_DONE;
        o.skipped += f->state == TRANSFER_SKIPPED;
        o.failed += f->state == TRANSFER_FAILED;
        o.bytes_moved += f->moved;
    }
    return o;
}

/* The trouble is with the place or the way to it, and the file has no part in it. */
static bool is_the_places(enum err_kind kind)
{
    return kind == ERR_TRANSIENT || kind == ERR_AUTH || kind == ERR_IO || kind == ERR_CORRUPT;
}

/* All but those that are like the first, which is told for them. */
static void list_failures(const struct transfer *t, enum err_kind first)
{
    enum { MOST = 20 };
    int failed = 0;
    for (int i = 0; i < transfer_count(t); i++) {
        const struct transfer_file *f = transfer_at(t, i);
        if (f->state != TRANSFER_FAILED || (f->problem && f->problem->kind == first && is_the_places(first)))
            continue;
        if (failed++ < MOST)
            fprintf(stderr, "%s\n", f->problem ? f->problem->text : f->name);
    }
    if (failed > MOST)
        fprintf(stderr, "… and %d more files\n", failed - MOST);
}

static bool say_how_to_go_on(const struct copying *c, struct transfer *t, struct err *e)
{
    struct transfer_progress p = {0};
    char done[HUMAN_TEXT], total[HUMAN_TEXT];
    transfer_progress(t, &p);
    return err_set(e, ERR_CANCELLED, "stopped at %s of %s, nothing of it is lost; to go on: %s",
                   human_bytes(p.bytes_done, done), human_bytes(p.bytes_total, total), c->again);
}

/* Behind what went wrong and may be over by then. */
static bool add_next_step(const struct copying *c, struct err *e)
{
    struct err what = *e;
    if (!is_the_places(e->kind) && e->kind != ERR_BUSY)
        return false;
    return err_set(e, what.kind, "%.*s; to go on: %s", (int)sizeof what.text - 250, what.text, c->again);
}

/* One file that failed is the error itself; of several the first, behind how many there are. */
static bool explain(const struct copying *c, struct transfer *t, struct err *e)
{
    struct copy_outcome o = copying_outcome(t);
    if (e->kind == ERR_CANCELLED || stop_wanted(c->stop))
        return say_how_to_go_on(c, t, e);
    if (o.failed > 1) {
        list_failures(t, e->kind);
        err_wrap(e, "%d of %d files failed, what was copied stays; the first", o.failed, transfer_count(t));
    }
    return add_next_step(c, e);
}

bool copying_run(struct copying *c, struct transfer *t, struct err *e)
{
    struct progress_options o = {.what = c->what,
                                 .quiet = c->settings->quiet,
                                 .sample = progress_of_transfer,
                                 .arg = t,
                                 .stop = c->stop};
    double start = clock_ms();
    struct progress *p = progress_start(&o, e);
    if (!p)
        return false;
    bool ok = transfer_run(t, e);
    progress_end(p);
    c->seconds = (clock_ms() - start) / 1000;
    return ok || explain(c, t, e);
}

void copying_print(FILE *to, const struct copying *c, const struct copy_outcome *o)
{
    char bytes[HUMAN_TEXT], time[HUMAN_TEXT], rate[HUMAN_TEXT];
    double per_second = c->seconds > 0 ? (double)o->bytes_moved / c->seconds : 0;

    fprintf(to, "%d file%s copied, %s", o->copied, human_plural((uint64_t)o->copied),
            human_bytes(o->bytes_moved, bytes));
    if (c->seconds >= 1)
        fprintf(to, " in %s (%s/s)", human_seconds(c->seconds, time),
                human_bytes((uint64_t)per_second, rate));
    if (o->skipped)
        fprintf(to, ", %d %s there already", o->skipped, o->skipped == 1 ? "was" : "were");
    putc('\n', to);
}

bool copying_json(const struct copying *c, const struct copy_outcome *o, json_t *into)
{
    json_t *members =
        json_pack("{s:i, s:i, s:i, s:I, s:f}", "copied", o->copied, "skipped", o->skipped, "failed",
                  o->failed, "bytes_moved", (json_int_t)o->bytes_moved, "seconds", c->seconds);
    bool ok = members && json_object_update(into, members) == 0;
    json_decref(members);
    return ok;
}

bool print_json(json_t *object, struct err *e)
{
    char *text = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(object);
    if (!text)
        return err_set(e, ERR_MEMORY, "no memory for the result");
    puts(text);
    free(text);
    return true;
}
