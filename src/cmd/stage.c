/* stage.c: `ferry stage`: a model from the hub to a bucket or a folder, complete and verified. */
#include "cmd/stage.h"

#include "cmd/again.h"
#include "cmd/commands.h"
#include "cmd/confirm.h"
#include "cmd/human.h"
#include "cmd/interrupt.h"
#include "transfer/journal_copy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BYTES = INT32_MAX };

_Static_assert(offsetof(struct stage_settings, copy) == 0, "copy_group");

static const struct option stage_options[] = {
    {.name = "revision",
     .type = OPTION_TEXT,
     .argument = "REVISION",
     .offset = offsetof(struct stage_settings, revision),
     .help = "branch, tag or commit, as MODEL@REVISION; main unless told. The commit it points to is pinned"},
    {.name = "include",
     .letter = 'i',
     .type = OPTION_LIST,
     .argument = "PATTERN",
     .offset = offsetof(struct stage_settings, include),
     .help =
         "only these: *.json anywhere, a/*.json in a, a/ all in such a folder; may be given several times"},
    {.name = "exclude",
     .letter = 'x',
     .type = OPTION_LIST,
     .argument = "PATTERN",
     .offset = offsetof(struct stage_settings, exclude),
     .help = "not these; may be given several times"},
    {.name = "check",
     .type = OPTION_FLAG,
     .offset = offsetof(struct stage_settings, check),
     .help = "copy nothing: compare what is there with its manifest, by size and checksum"},
    {.name = "deep",
     .type = OPTION_FLAG,
     .offset = offsetof(struct stage_settings, deep),
     .help = "with --check: read every byte"},
    {.name = "via",
     .type = OPTION_CHOICE,
     .argument = "WHO",
     .preset = "auto",
     .choices = "here|job|vm|auto",
     .offset = offsetof(struct stage_settings, via),
     .help =
         "who copies: this machine (here), or beside the bucket, which costs a little, tasks of Cloud Run "
         "(job) or one machine of Compute Engine (vm); auto: with --image what is expected to be done first, "
         "else here"},
};

static const struct option job_options[] = {
    {.name = "image",
     .type = OPTION_TEXT,
     .argument = "IMAGE",
     .offset = offsetof(struct stage_settings, image),
     .help = "what runs there, as `ferry image push` has put it: REGISTRY/REPOSITORY[:TAG]"},
    {.name = "tasks",
     .type = OPTION_INT,
     .argument = "N",
     .min = 1,
     .max = 100,
     .offset = offsetof(struct stage_settings, tasks),
     .help = "of a job: how many share the files; as many as there are large files, 8 at most, unless told"},
    {.name = "project",
     .type = OPTION_TEXT,
     .argument = "PROJECT",
     .offset = offsetof(struct stage_settings, project),
     .help = "whose job or VM it is; gcloud's unless told"},
    {.name = "region",
     .type = OPTION_TEXT,
     .argument = "REGION",
     .offset = offsetof(struct stage_settings, region),
     .help = "where it runs; the bucket's region unless told"},
    {.name = "service-account",
     .type = OPTION_TEXT,
     .argument = "ACCOUNT",
     .offset = offsetof(struct stage_settings, service_account),
     .help = "who the tasks or the VM are, to the bucket; the project's default account unless told"},
    {.name = "token-secret",
     .type = OPTION_TEXT,
     .argument = "NAME",
     .offset = offsetof(struct stage_settings, token_secret),
     .help = "secret of Secret Manager that holds the HF_TOKEN for gated and private models"},
};

/* --- what is asked for --- */

/* owner/name that is also a folder here was taken for the folder: say how to mean the other. */
static bool check_model(const struct stage *s, const char *text, struct err *e)
{
    const struct uri *u = &s->model.uri;
    if (u->scheme == URI_LOCAL)
        return err_set(
            e, ERR_USAGE,
            "%s: a path on this machine, expected a model on the hub: hf://OWNER/NAME. A folder is "
            "copied by `ferry cp -r`",
            text);
    if (u->scheme != URI_HF)
        return err_set(e, ERR_USAGE,
                       "%s: expected a model on the hub: OWNER/NAME or hf://OWNER/NAME[@REVISION]", text);
    if (*u->path)
        return err_set(e, ERR_USAGE, "%s: a model is staged whole; --include '%s' takes part of it", text,
                       u->path);
    return true;
}

bool stage_name_model(struct stage *s, const char *text, struct err *e)
{
    const char *revision = s->settings.revision;
    struct uri u;
    if (!uri_parse(&u, text, s->arena, e))
        return false;
    s->model.uri = u;
    if (!check_model(s, text, e))
        return false;
    if (revision && u.revision && strcmp(revision, u.revision) != 0)
        return err_set(e, ERR_USAGE, "%s: --revision says %s; give one of them", text, revision);
    if (revision)
        u.revision = revision;
    s->model = (struct place){.uri = u, .root = u, .path = ""};
    s->source = arena_printf(s->arena, "hf://%s", u.place);
    return s->source || err_set(e, ERR_MEMORY, "no memory");
}

bool stage_pin(struct stage *s, struct err *e)
{
    s->model.store = stores_open(s->stores, &s->model.uri, e);
    if (!s->model.store)
        return false;
    s->commit = store_commit(s->model.store);
    s->model.root.revision = s->commit;
    return true;
}

bool stage_open_source(struct stage *s, const char *text, struct err *e)
{
    if (!place_open(&s->model, s->stores, text, s->arena, e))
        return false;
    const struct uri *u = &s->model.uri;
    s->commit = store_commit(s->model.store);
    s->source = u->scheme == URI_HF
                    ? arena_printf(s->arena, "hf://%s%s%s", u->place, *u->path ? "/" : "", u->path)
                    : place_uri(&s->model, s->model.path, s->arena);
    return s->source || err_set(e, ERR_MEMORY, "no memory");
}

bool stage_open_target(struct stage *s, const char *text, struct err *e)
{
    if (!place_writable(text, s->arena, e) || !place_open(&s->target, s->stores, text, s->arena, e))
        return false;
    s->prefix = place_prefix(&s->target, s->arena);
    return s->prefix || err_set(e, ERR_MEMORY, "no memory");
}

/* --- telling --- */

/* "hf://owner/name at 0123456789ab", or the folder it is. */
static const char *version_of(const struct stage *s)
{
    const char *text = s->commit ? arena_printf(s->arena, "%s at %.12s", s->source, s->commit) : s->source;
    return text ? text : s->source;
}

static const char *action_of(const struct stage_file *f, bool planned)
{
    if (f->choice == CHOICE_DUPLICATE)
        return "duplicate";
    if (f->choice == CHOICE_EXCLUDED)
        return "excluded";
    if (f->encoded)
        return planned ? "encode" : "encoded";
    return f->certified ? "there" : planned ? "copy" : "copied";
}

/* What was left out is said, since nobody asked for it. */
static void print_left_out(const struct stage *s)
{
    uint64_t bytes = 0;
    int files = 0;
    const char *example = NULL;
    char size[HUMAN_TEXT];
    for (int i = 0; i < s->count; i++) {
        if (s->files[i].choice != CHOICE_DUPLICATE)
            continue;
        example = example ? example : s->files[i].name;
        files++;
        bytes += s->files[i].source.size;
    }
    if (files)
        printf("%d file%s left out, %s: weights that the safetensors hold already (%s%s); --include takes "
               "them\n",
               files, human_plural((uint64_t)files), human_bytes(bytes, size), example,
               files > 1 ? ", …" : "");
}

/* Files of an earlier state that the new one does not have. */
static void print_left_over(const struct stage *s)
{
    int files = 0;
    const char *example = NULL;
    for (int i = 0; s->has_manifest && i < s->manifest.count; i++) {
        const char *name = s->manifest.files[i].name;
        bool known = s->encoding && strcmp(name, PACK_NAME) == 0;
        for (int k = 0; k < s->count && !known; k++)
            known = s->files[k].choice == CHOICE_TAKEN && !s->files[k].encoded &&
                    strcmp(s->files[k].name, name) == 0;
        if (known || !stage_find(&s->there, name))
            continue;
        example = example ? example : name;
        files++;
    }
    if (files)
        printf("%d file%s of what was staged before stay%s (%s%s); the manifest no longer names them, `ferry "
               "rm` "
               "deletes them\n",
               files, human_plural((uint64_t)files), files == 1 ? "s" : "", example, files > 1 ? ", …" : "");
}

json_t *stage_files_json(const struct stage *s, bool planned)
{
    json_t *files = json_array();
    for (int i = 0; i < s->count; i++)
        json_array_append_new(files, json_pack("{s:s, s:I, s:s}", "name", s->files[i].name, "size",
                                               (json_int_t)s->files[i].source.size, "action",
                                               action_of(&s->files[i], planned)));
    return files;
}

static uint64_t pack_bytes(const struct stage *s)
{
    return s->repack ? repack_plan(s->repack)->bytes : s->pack_certified ? s->pack_certified->size : 0;
}

static json_t *pack_json(const struct stage *s)
{
    return json_pack("{s:s, s:s, s:I}", "name", PACK_NAME, "encoding", s->encoding, "size",
                     (json_int_t)pack_bytes(s));
}

static json_t *result_json(const struct stage *s, bool planned)
{
    json_t *result = json_pack("{s:s, s:s?, s:s, s:b, s:o}", "source", s->source, "commit", s->commit,
                               "target", place_uri(&s->target, s->prefix, s->arena), "dry_run", planned,
                               "files", stage_files_json(s, planned));
    if (result && s->encoding)
        json_object_set_new(result, "pack", pack_json(s));
    return result;
}

void stage_print_files(const struct stage *s)
{
    uint64_t bytes = 0;
    int files = 0;
    char size[HUMAN_TEXT];

    printf("%s to %s\n", version_of(s), place_uri(&s->target, s->prefix, s->arena));
    for (int i = 0; i < s->count; i++) {
        const struct stage_file *f = &s->files[i];
        bool copy = f->choice == CHOICE_TAKEN && !f->certified && !f->encoded;
        files += copy;
        bytes += copy ? f->source.size : 0;
        printf("  %-10s%s (%s)\n", action_of(f, true), f->name, human_bytes(f->source.size, size));
    }
    if (s->encoding)
        printf("  %-10s%s (%s)\n", s->encoding, PACK_NAME, human_bytes(pack_bytes(s), size));
    printf("%d file%s, %s to copy; nothing was copied\n", files, human_plural((uint64_t)files),
           human_bytes(bytes, size));
}

static bool print_plan(const struct stage *s, struct err *e)
{
    if (s->settings.copy.json)
        return print_json(result_json(s, true), e);
    stage_print_files(s);
    return true;
}

static bool print_complete(const struct stage *s, struct err *e)
{
    if (s->settings.copy.json)
        return print_json(result_json(s, false), e);
    printf("%s is staged completely in %s (since %s); nothing to do. --check --deep reads every byte\n",
           version_of(s), place_uri(&s->target, s->prefix, s->arena), s->manifest.created);
    return true;
}

static bool pack_was_there(const struct stage *s)
{
    return !s->repack || repack_result(s->repack)->was_there;
}

static bool print_result(const struct stage *s, struct err *e)
{
    struct copy_outcome o = s->outcome;
    const struct copying run = {.seconds = s->seconds};
    const char *target = place_uri(&s->target, s->prefix, s->arena);
    char size[HUMAN_TEXT];
    if (s->repack)
        o.bytes_moved += repack_result(s->repack)->moved;
    if (s->encoding)
        *(pack_was_there(s) ? &o.skipped : &o.copied) += 1;
    for (int i = 0; i < s->count; i++)
        o.skipped += s->files[i].choice == CHOICE_TAKEN && s->files[i].job < 0 && !s->files[i].encoded &&
                     s->files[i].task == s->task;
    if (s->settings.copy.json) {
        json_t *result = result_json(s, false);
        if (result && !copying_json(&run, &o, result)) {
            json_decref(result);
            result = NULL;
        }
        return print_json(result, e);
    }
    copying_print(stdout, &run, &o);
    if (s->encoding)
        printf("%s: the weights in %s, %s\n", PACK_NAME, s->encoding, human_bytes(pack_bytes(s), size));
    if (!s->sealed) {
        printf("task %d of %d is done; the last one to be done seals\n", s->task + 1, s->tasks);
        return true;
    }
    print_left_out(s);
    print_left_over(s);
    printf("%s is staged completely in %s\n", version_of(s), target);
    return true;
}

/* More tasks than files, or an encoding, which is one task's work. */
static bool print_idle(const struct stage *s, struct err *e)
{
    if (s->settings.copy.json)
        return print_json(result_json(s, false), e);
    printf("nothing falls to task %d of %d\n", s->task + 1, s->tasks);
    return true;
}

/* --- doing --- */

/* Another model, commit or encoding lies there: it would be overwritten file by file, so its manifest goes
 * first. */
static bool make_way(struct stage *s, struct err *e)
{
    char question[900];
    const struct manifest *m = &s->manifest;
    if (!s->has_manifest || stage_same_model(s))
        return true;
    snprintf(question, sizeof question, "%.300s holds %.150s%s%.12s%s%.10s. Replace it by %.300s%s%.10s?",
             place_uri(&s->target, s->prefix, s->arena), m->source, m->commit ? " at " : "",
             m->commit ? m->commit : "", m->encoding ? " in " : "", m->encoding ? m->encoding : "",
             version_of(s), s->encoding ? " in " : "", s->encoding ? s->encoding : "");
    return confirm(question, s->settings.yes, e) && stage_delete_manifest(s, e);
}

static bool add_jobs(struct stage *s, struct transfer *t, struct err *e)
{
    int jobs = 0;
    for (int i = 0; i < s->count; i++) {
        struct stage_file *f = &s->files[i];
        if (f->choice != CHOICE_TAKEN || f->certified || f->encoded || f->task != s->task)
            continue;
        struct transfer_job job = {.from = s->model.store,
                                   .to = s->target.store,
                                   .source = f->source,
                                   .target = arena_printf(s->arena, "%s%s", s->prefix, f->name)};
        if (!job.target)
            return err_set(e, ERR_MEMORY, "no memory for a name");
        if (!transfer_add(t, &job, e))
            return false;
        f->job = jobs++;
    }
    return true;
}

/* All is copied that falls to this process: the manifest is written, unless another task is still at work,
 * which will then see that this one is done. */
static bool seal(struct stage *s, struct transfer *t, struct journal *j, const char *copy_name, struct err *e)
{
    s->sealed = true;
    if (s->tasks > 1 &&
        (!journal_copy_write(j, s->target.store, copy_name, e) || !stage_share_all(s, &s->sealed, e)))
        return false;
    return !s->sealed || (stage_write_manifest(s, t, e) && (!copy_name || stage_share_clean(s, e)));
}

static bool copy(struct stage *s, struct journal *j, const char *copy_name, struct err *e)
{
    struct copying run = {
        .settings = &s->settings.copy, .what = s->what, .again = s->again, .stop = interrupt_watch()};
    struct transfer_options o = {.workers = s->settings.copy.workers,
                                 .journal = j,
                                 .copy_to = s->target.store,
                                 .copy_name = copy_name,
                                 .want_ranges = true,
                                 .stop = run.stop};
    stores_wind_down(s->stores, run.stop);
    struct transfer *t = transfer_new(&o, e);
    bool ok = t && stage_plan_pack(s, &o, e) && add_jobs(s, t, e) && copying_run(&run, t, e) &&
              stage_make_pack(s, &run, e) && seal(s, t, j, copy_name, e);
    if (ok)
        s->outcome = copying_outcome(t);
    s->seconds = run.seconds;
    transfer_free(t);
    return ok;
}

/* *copy_name: of its copy in the bucket; NULL: none, since for a folder here ours is at hand. */
static struct journal *open_journal(struct stage *s, char **copy_name, struct err *e)
{
    char *source = stage_journal_source(s, s->task);
    char *target = place_uri(&s->target, s->prefix, s->arena);
    *copy_name = NULL;
    if (!source || !target) {
        err_set(e, ERR_MEMORY, "no memory");
        return NULL;
    }
    struct journal *j = journal_open(source, target, e);
    if (!j || s->target.uri.scheme != URI_GS ||
        (*copy_name = journal_copy_name(s->arena, s->prefix, source, target)))
        return j;
    err_set(e, ERR_MEMORY, "no memory");
    journal_close(j);
    return NULL;
}

/* Another machine's journal lies in the bucket. */
static bool copy_with_journal(struct stage *s, struct err *e)
{
    char *copy_name;
    struct journal *j = open_journal(s, &copy_name, e);
    bool ok =
        j && (!copy_name || journal_copy_read(j, s->target.store, copy_name, e)) && copy(s, j, copy_name, e);
    if (ok)
        return journal_remove(j, e);
    journal_close(j);
    return false;
}

/* What a run left that was killed after its manifest. Not worth an error: it takes a little room, no more. */
static void remove_journal(struct stage *s)
{
    struct err ignored = {0};
    char *copy_name;
    struct journal *j = open_journal(s, &copy_name, &ignored);
    const char *below = copy_name ? copy_name + strlen(s->prefix) : NULL;
    bool there = below && stage_find(&s->there, below);
    if (!j)
        return; /* in use: whoever has it removes it */
    if (there && !journal_copy_delete(s->target.store, copy_name, &ignored))
        journal_close(j);
    else
        (void)!journal_remove(j, &ignored);
}

/* A licence that was not accepted shows only when bytes are asked for: better once, and before anything is
 * written, than file by file. */
static bool try_reading(struct stage *s, struct err *e)
{
    char byte;
    for (int i = 0; i < s->count; i++) {
        const struct stage_file *f = &s->files[i];
        if (f->choice == CHOICE_TAKEN && !f->certified && f->source.size)
            return store_read(s->model.store, &f->source, 0, 1, &byte, NULL, e);
    }
    return true;
}

static bool plan(struct stage *s, struct err *e)
{
    struct transfer_options none = {0};
    return stage_plan_pack(s, &none, e) && print_plan(s, e);
}

bool stage_look(struct stage *s, bool *complete, struct err *e)
{
    if (s->settings.encode != ENCODE_NONE)
        s->encoding = pack_encoding_names[s->settings.encode - 1];
    if (!stage_list_model(s, e) ||
        (!s->no_bucket && (!stage_list_target(s, e) || !stage_read_manifest(s, e))))
        return false;
    stage_compare(s);
    if (!stage_share_files(s, e))
        return false;
    *complete = stage_complete(s);
    if (*complete && !s->settings.copy.dry_run)
        remove_journal(s);
    return true;
}

bool stage_copy(struct stage *s, struct err *e)
{
    return try_reading(s, e) && copy_with_journal(s, e);
}

static bool print_via(const struct stage *s, struct err *e)
{
    char time[HUMAN_TEXT];
    if (s->settings.copy.json)
        return print_json(result_json(s, false), e);
    print_left_out(s);
    print_left_over(s);
    printf("%s is staged completely in %s: %s by %s is gone\n", version_of(s),
           place_uri(&s->target, s->prefix, s->arena), human_seconds(s->seconds, time), s->by);
    return true;
}

static bool run_via(struct stage *s, struct err *e)
{
    bool done;
    if (!try_reading(s, e) || (!s->settings.copy.dry_run && !make_way(s, e)))
        return false;
    bool ok = s->settings.via == VIA_VM ? stage_via_vm(s, &done, e) : stage_via_job(s, &done, e);
    return ok && (!done || print_via(s, e));
}

bool stage_finish(struct stage *s, bool complete, struct err *e)
{
    if (complete)
        return print_complete(s, e);
    stage_choose_via(s);
    if (s->settings.via != VIA_HERE)
        return run_via(s, e);
    if (s->settings.copy.dry_run)
        return plan(s, e);
    if (s->tasks > 1 && !stage_share_has_work(s, s->task))
        return print_idle(s, e);
    if (!try_reading(s, e) || !make_way(s, e))
        return false;
    return copy_with_journal(s, e) && print_result(s, e);
}

bool stage_run(struct stage *s, struct err *e)
{
    bool complete;
    return stage_look(s, &complete, e) && stage_finish(s, complete, e);
}

static bool run_with(struct stage *s, const struct command *c, const struct operands *o, struct err *e)
{
    const struct stage_settings *settings = &s->settings;
    if (o->count < (settings->check ? 1 : 2))
        return err_set(e, ERR_USAGE, "which model, to where? usage: ferry stage %s", c->synopsis);
    if (settings->deep && !settings->check)
        return err_set(e, ERR_USAGE, "--deep goes with --check");
    if (!stage_share_read(s, e))
        return false;
    if (settings->via == VIA_HERE && (settings->image || settings->token_secret))
        return err_set(e, ERR_USAGE, "--image and --token-secret go with --via job and --via vm");
    if (settings->token_secret && !settings->image)
        return err_set(e, ERR_USAGE, "--token-secret goes with --image");
    if (settings->via != VIA_JOB && settings->tasks)
        return err_set(e, ERR_USAGE, "--tasks goes with --via job");
    if (o->count == 2 && !stage_name_model(s, o->items[0], e))
        return false;
    s->stores = stores_new(0, e);
    if (!s->stores || !stage_open_target(s, o->items[o->count - 1], e))
        return false;
    if (s->tasks > 1 && s->target.uri.scheme != URI_GS)
        return err_set(e, ERR_USAGE,
                       "%s: the tasks of a job share a copy to a bucket, expected gs://BUCKET/PREFIX",
                       o->items[o->count - 1]);
    return settings->check ? stage_check(s, e) : stage_pin(s, e) && stage_run(s, e);
}

static bool run_stage(const struct command *c, char **args, int count, struct err *e)
{
    struct stage s = {.arena = arena_new(ARENA_BYTES), .what = "staging"};
    struct operands o = {0};
    bool ok = false;

    if (!s.arena || !(s.again = command_again(s.arena, c->name, args, count)))
        err_set(e, ERR_MEMORY, "no memory");
    else if (options_read(c, args, count, &s.settings, &o, e))
        ok = o.help ? (help_command(stdout, c), true) : run_with(&s, c, &o, e);
    stage_clear(&s);
    stores_free(s.stores);
    arena_free(s.arena);
    return ok;
}

static const struct option_group stage_group = {"Options", stage_options,
                                                sizeof stage_options / sizeof *stage_options};
static const struct option_group job_group = {"With --via job and vm", job_options,
                                              sizeof job_options / sizeof *job_options};
static const struct option_group *const stage_groups[] = {&stage_group, &stage_pack_group, &copy_group,
                                                          &job_group, NULL};

static const char *const stage_examples[] = {
    "ferry stage Qwen/Qwen2-Audio-7B-Instruct gs://my-models/qwen2-audio",
    "from the hub into a bucket; nothing touches this machine's disk",
    "ferry stage Qwen/Qwen2-Audio-7B-Instruct gs://my-models/qwen2-audio-q8 --encode q8_0",
    "half the bytes to store, to load and to read for each token",
    "ferry stage Qwen/Qwen2-Audio-7B-Instruct ~/models/qwen2-audio --dry-run",
    "into a folder here; says what would be copied",
    "ferry stage Qwen/Qwen2-Audio-7B-Instruct gs://my-models/qwen2-audio --via job --image "
    "REGION-docker.pkg.dev/P/R/ferry",
    "where the way from here is slow: by tasks of Cloud Run beside the bucket, after time and cost are "
    "agreed to",
    "ferry stage Qwen/Qwen2-Audio-7B-Instruct gs://my-models/qwen2-audio --via vm --image "
    "REGION-docker.pkg.dev/P/R/ferry",
    "the same by one machine of Compute Engine, which deletes itself",
    "ferry stage --check gs://my-models/qwen2-audio",
    "is it all there?",
    NULL,
};

const struct command command_stage = {
    .name = "stage",
    .synopsis = "MODEL gs://BUCKET/PREFIX|FOLDER [options]",
    .summary = "copy a model from Hugging Face to a bucket, verified and resumable",
    .about =
        "Copies a model from the Hugging Face Hub into a bucket or a folder. The commit is pinned at the "
        "start; "
        "the hub's SHA-256 of each file is checked before the file appears, and the bucket's CRC32C after. "
        "What is there and verified is skipped; what was interrupted, even by kill -9 or on another machine, "
        "goes "
        "on when the same command is given again. A manifest, " MANIFEST_NAME
        ", is written last: where it is, the model is complete. Run as the tasks of a Cloud Run Job, the "
        "files are "
        "shared among them.\n"
        "\n"
        "Where there are safetensors, the same weights in other formats (*.bin, *.pt, *.onnx, GGUF, "
        "original/) "
        "are left out. HF_TOKEN is for gated and private models. Google's credentials are looked for in "
        "FERRY_ACCESS_TOKEN, GOOGLE_APPLICATION_CREDENTIALS, gcloud's application-default login and the "
        "metadata "
        "server.",
    .examples = stage_examples,
    .groups = stage_groups,
    .max_operands = 2,
    .run = run_stage,
};
