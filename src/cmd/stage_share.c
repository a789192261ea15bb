/* stage_share.c: one staging by several processes, the tasks of a Cloud Run Job. Each copies the files that
 * fall to it; who finds that all others are done seals: writes the manifest. They talk through the copies of
 * their journals in the bucket alone, so a task that was killed goes on, and nobody waits for anybody. */
#include "cmd/stage.h"

#include "transfer/journal_copy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TASKS = 10000 }; /* Cloud Run's limit of an execution */

static bool read_number(const char *name, int least, int most, int *out, struct err *e)
{
    const char *text = getenv(name);
    char *end;
    long n = text ? strtol(text, &end, 10) : 0;
    if (!text || end == text || *end || n < least || n > most)
        return err_set(e, ERR_USAGE, "%s: \"%.20s\", expected a number from %d to %d", name, text ? text : "",
                       least, most);
    *out = (int)n;
    return true;
}

bool stage_share_read(struct stage *s, struct err *e)
{
    s->task = 0;
    s->tasks = 1;
    if (!getenv("CLOUD_RUN_TASK_COUNT"))
        return true;
    return read_number("CLOUD_RUN_TASK_COUNT", 1, MOST_TASKS, &s->tasks, e) &&
           read_number("CLOUD_RUN_TASK_INDEX", 0, s->tasks - 1, &s->task, e);
}

/* --- who copies what --- */

static int larger_first(const void *a, const void *b)
{
    const struct stage_file *x = *(struct stage_file *const *)a, *y = *(struct stage_file *const *)b;
    if (x->source.size != y->source.size)
        return x->source.size < y->source.size ? 1 : -1;
    return strcmp(x->name, y->name);
}

static int least_loaded(const uint64_t *load, int tasks)
{
    int least = 0;
    for (int i = 1; i < tasks; i++)
        if (load[i] < load[least])
            least = i;
    return least;
}

/* The largest file to whoever has least so far: the same in each task, since all look at the same commit. A
 * pack is made by one process, which reads every shard. */
static bool share_files(struct stage *s, struct err *e)
{
    int count = 0;
    struct stage_file **files = arena_alloc(s->arena, (size_t)s->count, sizeof(struct stage_file *));
    uint64_t *load = arena_alloc(s->arena, (size_t)s->tasks, sizeof *load);
    if (!files || !load)
        return err_set(e, ERR_MEMORY, "no memory to share the files");
    for (int i = 0; i < s->count; i++)
        if (s->files[i].choice == CHOICE_TAKEN)
            files[count++] = &s->files[i];
    qsort(files, (size_t)count, sizeof *files, larger_first);
    for (int i = 0; i < count; i++) {
        files[i]->task = least_loaded(load, s->tasks);
        load[files[i]->task] += files[i]->source.size + 1; /* empty ones are work, too */
    }
    return true;
}

bool stage_share_files(struct stage *s, struct err *e)
{
    return s->tasks <= 1 || s->encoding || share_files(s, e);
}

bool stage_share_has_work(const struct stage *s, int task)
{
    for (int i = 0; i < s->count; i++)
        if (s->files[i].choice == CHOICE_TAKEN && !s->files[i].certified && s->files[i].task == task)
            return true;
    return false;
}

/* --- journals --- */

char *stage_journal_source(const struct stage *s, int task)
{
    char *source = arena_printf(s->arena, "%s@%s%s%s", s->source, s->commit ? s->commit : "",
                                s->encoding ? " " : "", s->encoding ? s->encoding : "");
    return source && s->tasks > 1 ? arena_printf(s->arena, "%s task %d of %d", source, task + 1, s->tasks)
                                  : source;
}

static char *copy_name(const struct stage *s, int task, char **source, char **target)
{
    *source = stage_journal_source(s, task);
    *target = place_uri(&s->target, s->prefix, s->arena);
    return *source && *target ? journal_copy_name(s->arena, s->prefix, *source, *target) : NULL;
}

/* NULL: another task is not that far, or *e. */
static struct journal *open_other(const struct stage *s, int task, struct err *e)
{
    char *source, *target, *name = copy_name(s, task, &source, &target);
    struct err problem = {0};
    struct journal *j = name ? journal_copy_open(s->target.store, name, source, target, &problem) : NULL;
    if (!name)
        err_set(&problem, ERR_MEMORY, "no memory");
    if (!j && problem.kind != ERR_NOT_FOUND)
        *e = problem;
    return j;
}

/* --- sealing --- */

/* As the bucket has it now: of that size and checksum. */
static bool is_there(const struct stage *s, const struct manifest_file *m)
{
    const struct entry *there = stage_find(&s->there, m->name);
    return there && there->size == m->size && (!there->has_crc32c || there->crc32c == m->crc32c);
}

/* What another task's journal says of a file, as the manifest says it; NULL: it is not done, or *e. */
static const struct manifest_file *describe(const struct stage *s, const struct stage_file *f,
                                            struct journal *j, struct err *e)
{
    char *name = arena_printf(s->arena, "%s%s", s->prefix, f->name);
    struct manifest_file *m = arena_alloc(s->arena, 1, sizeof *m);
    const struct journal_file *k = name ? journal_find(j, name) : NULL;
    uint64_t ranges = (f->source.size + TRANSFER_PART_BYTES - 1) / TRANSFER_PART_BYTES;
    if (!name || !m) {
        err_set(e, ERR_MEMORY, "no memory for the manifest");
        return NULL;
    }
    if (!k || !k->done || k->start.size != f->source.size || k->start.range_bytes != TRANSFER_PART_BYTES ||
        (uint64_t)k->seal.range_count != ranges)
        return NULL;
    uint32_t *copied = arena_alloc(s->arena, (size_t)ranges + 1, sizeof *copied);
    *m = (struct manifest_file){.name = f->name,
                                .size = f->source.size,
                                .sha256 = arena_printf(s->arena, "%s", k->seal.sha256),
                                .git_blob = f->source.git_blob,
                                .crc32c = k->seal.crc32c,
                                .ranges = copied,
                                .range_count = (int)ranges};
    if (!copied || !m->sha256) {
        err_set(e, ERR_MEMORY, "no memory for the manifest");
        return NULL;
    }
    memcpy(copied, k->seal.ranges, (size_t)ranges * sizeof *copied);
    return is_there(s, m) ? m : NULL;
}

/* Whether all files of a task are there; what is known of them is noted. */
static bool take_task(struct stage *s, int task, struct err *e)
{
    struct journal *j = open_other(s, task, e);
    bool all = j != NULL;
    for (int i = 0; all && i < s->count; i++) {
        struct stage_file *f = &s->files[i];
        if (f->choice != CHOICE_TAKEN || f->certified || f->task != task)
            continue;
        f->certified = describe(s, f, j, e);
        all = f->certified != NULL;
    }
    journal_close(j);
    return all;
}

bool stage_share_all(struct stage *s, bool *all, struct err *e)
{
    struct err problem = {0};
    *all = true;
    s->there.count = 0;
    if (!stage_list_target(s, e))
        return false;
    for (int task = 0; *all && task < s->tasks; task++)
        if (task != s->task && stage_share_has_work(s, task))
            *all = take_task(s, task, &problem);
    if (problem.kind == ERR_NONE)
        return true;
    *e = problem;
    return false;
}

bool stage_share_clean(struct stage *s, struct err *e)
{
    for (int task = 0; task == 0 || task < s->tasks; task++) {
        char *source, *target, *name = copy_name(s, task, &source, &target);
        if (!name)
            return err_set(e, ERR_MEMORY, "no memory");
        if (!journal_copy_delete(s->target.store, name, e))
            return false;
    }
    return true;
}
