/* cp.c: `ferry cp`: files and folders between this machine, Cloud Storage and the hub. */
#include "cloud/storage.h"
#include "cmd/again.h"
#include "cmd/choose.h"
#include "cmd/commands.h"
#include "cmd/copy_name.h"
#include "cmd/copying.h"
#include "cmd/human.h"
#include "cmd/interrupt.h"
#include "cmd/sources.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ARENA_BYTES = INT32_MAX }; /* names of some million files */

struct cp_settings {
    struct copy_settings copy; /* first: copy_group's offsets count from here */
    bool recursive, no_clobber;
    struct text_list exclude;
};
_Static_assert(offsetof(struct cp_settings, copy) == 0, "copy_group");

static const struct option cp_options[] = {
    {.name = "recursive",
     .letter = 'r',
     .type = OPTION_FLAG,
     .offset = offsetof(struct cp_settings, recursive),
     .help = "folders too, with all in them"},
    {.name = "no-clobber",
     .letter = 'n',
     .type = OPTION_FLAG,
     .offset = offsetof(struct cp_settings, no_clobber),
     .help = "leave what is there at the target as it is"},
    {.name = "exclude",
     .letter = 'x',
     .type = OPTION_LIST,
     .argument = "PATTERN",
     .offset = offsetof(struct cp_settings, exclude),
     .help = "not these: *.bin anywhere, a/*.bin in a, original/ all in such a folder; may be given several "
             "times"},
};

/* One run of the command. */
struct cp {
    struct cp_settings settings;
    struct stores *stores;
    struct arena *arena;
    struct sources sources;
    struct place target;
    struct copy_target name;
    const char **names;        /* [sources.count], of the targets */
    const char *again, *typed; /* the command that goes on; sources and current folder, for the journal */
};

/* --- targets --- */

static bool check_local_target(struct cp *c, const char *text, struct err *e)
{
    struct stat st;
    bool there = stat(c->target.path, &st) == 0;
    c->name.folder = (there && S_ISDIR(st.st_mode)) || c->target.uri.folder;
    if (there && !S_ISDIR(st.st_mode) && (c->target.uri.folder || c->sources.things > 1))
        return err_set(e, ERR_USAGE, "%s is a file, expected a folder", text);
    if (!c->name.folder && c->sources.things > 1)
        return err_set(
            e, ERR_USAGE,
            "%s: several files need a folder, and there is none of that name; put a slash behind it "
            "and it is made",
            text);
    return true;
}

static bool check_bucket_target(struct cp *c, struct err *e)
{
    bool exists;
    c->name.folder = c->target.uri.folder || c->sources.things > 1;
    if (c->name.folder)
        return true;
    if (!place_is_folder(&c->target, c->arena, &exists, e))
        return false;
    c->name.folder = exists;
    return true;
}

static bool check_target(struct cp *c, const char *text, struct err *e)
{
    c->name.path = c->target.path;
    return c->target.uri.scheme == URI_LOCAL ? check_local_target(c, text, e) : check_bucket_target(c, e);
}

/* The folder that is there was begun by a run of this command that took it for the copy's new name. */
static bool is_begun_under_its_name(const struct cp *c, const char *text)
{
    bool one_folder = c->sources.things == 1 && c->sources.count && *c->sources.items[0].below;
    return c->name.folder && !c->target.uri.folder && one_folder && journal_exists(c->typed, text);
}

/* Where the bytes would be written is where they are read. */
static bool same_file(const struct cp *c, const struct source *s, const char *name)
{
    struct stat a, b;
    if (s->place->store != c->target.store)
        return false;
    if (c->target.uri.scheme != URI_LOCAL)
        return strcmp(s->entry.name, name) == 0;
    return stat(name, &a) == 0 && stat(s->entry.name, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino; /* mostly the first is not there */
}

static bool check_name(const struct cp *c, const struct source *s, const char *name, struct err *e)
{
    bool local = c->target.uri.scheme == URI_LOCAL;
    if (local && *s->below && !name_stays_below(s->below, e))
        return false;
    if (local && c->name.folder && *s->base && !name_stays_below(s->base, e))
        return false;
    if (same_file(c, s, name))
        return err_set(e, ERR_USAGE, "%s is its own target", place_uri(s->place, s->entry.name, c->arena));
    return true;
}

static bool name_targets(struct cp *c, struct err *e)
{
    c->names = arena_alloc(c->arena, c->sources.count, sizeof *c->names);
    if (!c->names)
        return err_set(e, ERR_MEMORY, "no memory for the names");
    for (size_t i = 0; i < c->sources.count; i++) {
        const struct source *s = &c->sources.items[i];
        c->names[i] = copy_name(c->arena, &c->name, &(struct copied){s->base, s->below});
        if (!c->names[i])
            return err_set(e, ERR_MEMORY, "no memory for the names");
        if (!check_name(c, s, c->names[i], e))
            return false;
    }
    return true;
}

/* --- sources --- */

static void drop_excluded(struct cp *c)
{
    size_t kept = 0;
    for (size_t i = 0; i < c->sources.count; i++) {
        const struct source *s = &c->sources.items[i];
        if (!patterns_hit(&c->settings.exclude, *s->below ? s->below : s->base))
            c->sources.items[kept++] = *s;
    }
    c->sources.count = kept;
}

static bool find_sources(struct cp *c, char **texts, int count, struct err *e)
{
    c->sources = (struct sources){.stores = c->stores, .arena = c->arena, .recursive = c->settings.recursive};
    for (int i = 0; i < count; i++)
        if (!sources_find(&c->sources, texts[i], e))
            return false;
    if (c->sources.folders_passed)
        fprintf(stderr, "%d folder%s passed over; -r takes them too\n", c->sources.folders_passed,
                human_plural((uint64_t)c->sources.folders_passed));
    drop_excluded(c);
    return true;
}

/* --- copying --- */

static bool print_plan(const struct cp *c)
{
    char size[HUMAN_TEXT];
    uint64_t bytes = 0;
    for (size_t i = 0; i < c->sources.count; i++) {
        const struct source *s = &c->sources.items[i];
        bytes += s->entry.size;
        printf("copy %s to %s (%s)\n", place_uri(s->place, s->entry.name, c->arena),
               place_uri(&c->target, c->names[i], c->arena), human_bytes(s->entry.size, size));
    }
    printf("%zu file%s, %s; nothing was copied\n", c->sources.count, human_plural(c->sources.count),
           human_bytes(bytes, size));
    return true;
}

static bool print_plan_json(const struct cp *c, struct err *e)
{
    json_t *files = json_array();
    for (size_t i = 0; i < c->sources.count; i++) {
        const struct source *s = &c->sources.items[i];
        json_array_append_new(files, json_pack("{s:s, s:s, s:I}", "source",
                                               place_uri(s->place, s->entry.name, c->arena), "target",
                                               place_uri(&c->target, c->names[i], c->arena), "size",
                                               (json_int_t)s->entry.size));
    }
    return print_json(json_pack("{s:b, s:o}", "dry_run", 1, "files", files), e);
}

static bool add_jobs(const struct cp *c, struct transfer *t, struct err *e)
{
    for (size_t i = 0; i < c->sources.count; i++) {
        const struct source *s = &c->sources.items[i];
        struct transfer_job job = {
            .from = s->place->store, .to = c->target.store, .source = s->entry, .target = c->names[i]};
        if (!transfer_add(t, &job, e))
            return false;
    }
    return true;
}

static bool report(const struct cp *c, const struct copying *run, const struct transfer *t, struct err *e)
{
    struct copy_outcome o = copying_outcome(t);
    if (!c->settings.copy.json) {
        copying_print(stdout, run, &o);
        return true;
    }
    json_t *result = json_object();
    if (result && !copying_json(run, &o, result)) {
        json_decref(result);
        result = NULL;
    }
    return print_json(result, e);
}

/* *started: something may have been copied, of which the journal knows. */
static bool copy(struct cp *c, struct journal *journal, bool *started, struct err *e)
{
    struct copying run = {
        .settings = &c->settings.copy, .what = "copying", .again = c->again, .stop = interrupt_watch()};
    struct transfer_options o = {.workers = c->settings.copy.workers,
                                 .journal = journal,
                                 .skip_existing = c->settings.no_clobber,
                                 .stop = run.stop};
    stores_wind_down(c->stores, run.stop);
    struct transfer *t = transfer_new(&o, e);
    *started = t && add_jobs(c, t, e);
    bool ok = *started && copying_run(&run, t, e) && report(c, &run, t, e);
    transfer_free(t);
    return ok;
}

/* What could not be copied (two files that would become one, say) cannot be planned either. */
static bool plan(const struct cp *c, struct err *e)
{
    struct transfer *t = transfer_new(&(struct transfer_options){0}, e);
    bool ok = t && add_jobs(c, t, e) && (c->settings.copy.json ? print_plan_json(c, e) : print_plan(c));
    transfer_free(t);
    return ok;
}

static bool note_typed(struct cp *c, char **texts, int count, struct err *e)
{
    char folder[4096];
    if (!getcwd(folder, sizeof folder))
        return err_errno(e, "cannot tell the current folder");
    c->typed = command_again(c->arena, folder, texts, count - 1);
    return c->typed || err_set(e, ERR_MEMORY, "no memory");
}

/* The journal is named after what was typed, and how the target was taken: the same command goes on where it
 * stopped. */
static bool copy_with_journal(struct cp *c, const char *target, struct err *e)
{
    bool slash = c->name.folder && !c->target.uri.folder;
    char *name = arena_printf(c->arena, "%s%s", target, slash ? "/" : "");
    if (!name)
        return err_set(e, ERR_MEMORY, "no memory");
    struct journal *j = journal_open(c->typed, name, e);
    if (!j)
        return false;
    bool started, ok = copy(c, j, &started, e);
    if (ok)
        return journal_remove(j, e);
    if (started)
        journal_close(j);
    else
        journal_remove(j, NULL);
    return false;
}

static bool copy_files(struct cp *c, char **texts, int count, struct err *e)
{
    const char *target = texts[count - 1];
    if (!place_writable(target, c->arena, e) || !find_sources(c, texts, count - 1, e) ||
        !place_open(&c->target, c->stores, target, c->arena, e) || !check_target(c, target, e) ||
        !note_typed(c, texts, count, e))
        return false;
    if (is_begun_under_its_name(c, target))
        c->name.folder = false;
    if (!name_targets(c, e))
        return false;
    if (c->settings.copy.dry_run)
        return plan(c, e);
    return copy_with_journal(c, target, e);
}

/* --- stdin and stdout --- */

static bool write_out(void *arg, const void *bytes, size_t size, struct err *e)
{
    (void)arg;
    return fwrite(bytes, 1, size, stdout) == size || err_errno(e, "cannot write to stdout");
}

static bool copy_out(struct cp *c, char **texts, int count, struct err *e)
{
    const volatile sig_atomic_t *stop = interrupt_watch();
    if (!find_sources(c, texts, count - 1, e))
        return false;
    for (size_t i = 0; i < c->sources.count; i++) {
        const struct source *s = &c->sources.items[i];
        if (!transfer_stream_out(s->place->store, &s->entry, 0, s->entry.size, write_out, NULL, stop, e))
            return err_wrap(e, "%s", s->entry.name);
    }
    return true;
}

/* size 0: the end. A pipe gives less than is asked for: read until `into` is full. */
static bool read_in(void *arg, void *into, size_t room, size_t *size, struct err *e)
{
    (void)arg;
    *size = fread(into, 1, room, stdin);
    return !ferror(stdin) || err_errno(e, "cannot read from stdin");
}

static bool copy_in(struct cp *c, const char *target, struct err *e)
{
    const volatile sig_atomic_t *stop = interrupt_watch();
    int64_t generation = c->settings.no_clobber ? STORAGE_ABSENT : STORAGE_ANY_GENERATION;

    if (!place_writable(target, c->arena, e) || !place_open(&c->target, c->stores, target, c->arena, e) ||
        !check_target(c, target, e))
        return false;
    if (c->name.folder)
        return err_set(e, ERR_USAGE, "%s is a folder; what comes from stdin needs a name of its own", target);
    return transfer_stream_in(c->target.store, c->target.path, generation, read_in, NULL, stop, e);
}

static bool is_stdio(const char *text)
{
    return strcmp(text, "-") == 0;
}

static bool cp(struct cp *c, char **texts, int count, struct err *e)
{
    bool in = false;
    for (int i = 0; i < count - 1; i++)
        in = in || is_stdio(texts[i]);
    if (in && (count != 2 || is_stdio(texts[1])))
        return err_set(e, ERR_USAGE, "- as a source stands alone: ferry cp - TARGET");
    if ((in || is_stdio(texts[count - 1])) && (c->settings.copy.json || c->settings.copy.dry_run))
        return err_set(e, ERR_USAGE, "--json and --dry-run do not go with -");
    if (in)
        return copy_in(c, texts[1], e);
    return is_stdio(texts[count - 1]) ? copy_out(c, texts, count, e) : copy_files(c, texts, count, e);
}

static bool run_cp(const struct command *command, char **args, int count, struct err *e)
{
    struct cp c = {.arena = arena_new(ARENA_BYTES)};
    struct operands o = {0};
    bool ok = false;

    if (!c.arena || !(c.again = command_again(c.arena, command->name, args, count))) {
        err_set(e, ERR_MEMORY, "no memory");
        goto done;
    }
    if (!options_read(command, args, count, &c.settings, &o, e))
        goto done;
    if (o.help) {
        help_command(stdout, command);
        ok = true;
        goto done;
    }
    if (o.count < 2) {
        err_set(e, ERR_USAGE, "from where to where? usage: ferry cp %s", command->synopsis);
        goto done;
    }
    c.stores = stores_new(0, e);
    ok = c.stores && cp(&c, o.items, o.count, e);
done:
    sources_clear(&c.sources);
    stores_free(c.stores);
    arena_free(c.arena);
    return ok;
}

static const struct option_group cp_group = {"Options", cp_options, sizeof cp_options / sizeof *cp_options};
static const struct option_group *const cp_groups[] = {&cp_group, &copy_group, NULL};

static const char *const cp_examples[] = {
    "ferry cp -r ~/models/qwen gs://bucket/models",
    "to gs://bucket/models/qwen/…, when gs://bucket/models/ exists (see above)",
    "ferry cp 'gs://bucket/models/qwen/*.json' configs/",
    "a quoted wildcard is expanded by Ferry; configs is made",
    "ferry cp hf://Qwen/Qwen2-Audio-7B-Instruct/config.json .",
    "one file from the hub",
    "tar c logs | ferry cp - gs://bucket/logs.tar",
    "from a pipe, of any length",
    NULL,
};

const struct command command_cp = {
    .name = "cp",
    .synopsis = "SOURCE… TARGET [-r] [-n] [options]",
    .summary = "copy files to, from and within Cloud Storage, in parallel",
    .about =
        "Copies files. A SOURCE is a path, gs://BUCKET/NAME, hf://OWNER/NAME[@REVISION][/PATH] or - (stdin); "
        "a "
        "TARGET is a path, gs://BUCKET/NAME or - (stdout). Large files go in parts, several at a time; each "
        "part and each file is checked on the way. From bucket to bucket Cloud Storage makes the copy "
        "itself. "
        "What was interrupted goes on when the same command is given again in the same folder.\n"
        "\n"
        "When TARGET is a folder (one that exists, a name with a slash at its end, a whole bucket) the copy "
        "lies in it under the source's last name; else TARGET is the copy's new name. So for a folder and "
        "-r: "
        "dir to gs://b/new makes gs://b/new/… the first time and gs://b/new/dir/… once gs://b/new/ exists; "
        "gs://b/new/ makes gs://b/new/dir/… always. Of . and of dir/* the contents are copied, without a "
        "folder's name. Several sources need a folder; in a bucket any name can be one.\n"
        "\n"
        "In wildcards * and ? stay within one level, ** crosses levels, [a-z] is a class. A file that is "
        "really "
        "called so comes first.",
    .examples = cp_examples,
    .groups = cp_groups,
    .max_operands = OPERANDS_ANY,
    .run = run_cp,
};
