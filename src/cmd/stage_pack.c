/* stage_pack.c: the weights of a staged model, encoded on the way into one pack. */
#include "cmd/human.h"
#include "cmd/progress.h"
#include "cmd/stage.h"

#include "base/clock.h"
#include "base/stop.h"

#include <stdio.h>
#include <string.h>

enum { SMALL_FILE = 16 << 20 };

static const struct option rows[] = {
    {.name = "encode",
     .letter = 'e',
     .type = OPTION_CHOICE,
     .argument = "ENCODING",
     .preset = "none",
     .choices = "none|bf16|q8_0|q4_0",
     .offset = offsetof(struct stage_settings, encode),
     .help = "encode the weights on the way, into one file in the order in which they are needed: bf16; "
             "q8_0, about "
             "half of that; q4_0, about a third"},
    {.name = "yes",
     .letter = 'y',
     .type = OPTION_FLAG,
     .offset = offsetof(struct stage_settings, yes),
     .help = "replace another model, commit or encoding without asking"},
};

const struct option_group stage_pack_group = {"Encoding and replacing", rows, sizeof rows / sizeof *rows};

/* --- what goes into it --- */

/* Weights at the top of the folder; those deeper are others. */
static bool is_shard(const struct stage_file *f)
{
    return pattern_hits("*.safetensors", f->name) && !strchr(f->name, '/');
}

bool stage_choose_encoded(struct stage *s, struct err *e)
{
    int shards = 0;
    for (int i = 0; s->encoding && i < s->count; i++) {
        struct stage_file *f = &s->files[i];
        bool shard = f->choice == CHOICE_TAKEN && is_shard(f);
        shards += shard;
        f->encoded = shard || pattern_hits("*.safetensors.index.json", f->name);
    }
    return !s->encoding || shards > 0 ||
           err_set(e, ERR_NOT_FOUND, "%s: no safetensors there to encode", s->source);
}

/* --- the plan --- */

/* A small file of the source as text; NULL without an error when it has none. */
static const char *read_text(struct stage *s, const char *name, struct err *e)
{
    for (int i = 0; i < s->count; i++) {
        const struct entry *source = &s->files[i].source;
        if (strcmp(s->files[i].name, name) != 0)
            continue;
        char *text = source->size <= SMALL_FILE ? arena_alloc(s->arena, (size_t)source->size + 1, 1) : NULL;
        if (!text)
            err_set(e, ERR_LIMIT, "%s: %llu bytes, at most %d expected", name,
                    (unsigned long long)source->size, SMALL_FILE);
        else if (source->size == 0 ||
                 store_read(s->model.store, source, 0, (size_t)source->size, text, NULL, e))
            return text;
        return NULL;
    }
    return NULL;
}

static bool read_config(struct stage *s, struct model_config *c, struct err *e)
{
    const char *config = read_text(s, "config.json", e);
    const char *generation = config ? read_text(s, "generation_config.json", e) : NULL;
    const char *preprocessor = config ? read_text(s, "preprocessor_config.json", e) : NULL;
    if (e->kind != ERR_NONE)
        return false;
    if (!config)
        return err_set(e, ERR_NOT_FOUND, "%s: no config.json, which says what its weights are", s->source);
    return model_config_parse(c, config, generation, preprocessor, e);
}

bool stage_plan_pack(struct stage *s, const struct transfer_options *o, struct err *e)
{
    struct model_config *config = arena_alloc(s->arena, 1, sizeof *config);
    struct entry *shards = arena_alloc(s->arena, (size_t)s->count + 1, sizeof *shards);
    struct repack_job job = {.from = s->model.store,
                             .to = s->target.store,
                             .shards = shards,
                             .config = config,
                             .encoding = (enum pack_encoding)(s->settings.encode - 1),
                             .origin = {s->source, s->commit},
                             .target = arena_printf(s->arena, "%s" PACK_NAME, s->prefix)};
    if (!s->encoding || s->pack_certified)
        return true;
    if (!config || !shards || !job.target)
        return err_set(e, ERR_MEMORY, "no memory for the plan of a pack");
    for (int i = 0; i < s->count; i++)
        if (s->files[i].choice == CHOICE_TAKEN && is_shard(&s->files[i]))
            shards[job.count++] = s->files[i].source;
    if (!read_config(s, config, e))
        return err_wrap(e, "%s", s->source);
    s->repack = repack_new(&job, o, e);
    return s->repack != NULL;
}

/* --- making it --- */

static void sample(void *arg, struct transfer_progress *p)
{
    repack_progress(arg, p);
}

static bool explain(const struct copying *run, struct repack *r, struct err *e)
{
    struct transfer_progress p = {0};
    char done[HUMAN_TEXT], total[HUMAN_TEXT];
    if (e->kind != ERR_CANCELLED && !stop_wanted(run->stop))
        return false;
    repack_progress(r, &p);
    return err_set(e, ERR_CANCELLED, "stopped at %s of %s, what is stored is not lost; to go on: %s",
                   human_bytes(p.bytes_done, done), human_bytes(p.bytes_total, total), run->again);
}

bool stage_make_pack(struct stage *s, struct copying *run, struct err *e)
{
    struct progress_options o = {.what = "encoding",
                                 .quiet = run->settings->quiet,
                                 .sample = sample,
                                 .arg = s->repack,
                                 .stop = run->stop};
    if (!s->repack)
        return true;
    double start = clock_ms();
    struct progress *p = progress_start(&o, e);
    if (!p)
        return false;
    bool ok = repack_run(s->repack, e);
    progress_end(p);
    run->seconds += (clock_ms() - start) / 1000;
    return ok || explain(run, s->repack, e);
}
