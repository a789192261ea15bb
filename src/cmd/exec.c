/* exec.c: `ferry exec`: a model pulled into a folder, then another program in the place of this one. */
#include "base/catalog.h"
#include "cmd/again.h"
#include "cmd/commands.h"
#include "cmd/human.h"
#include "cmd/interrupt.h"
#include "cmd/launch.h"
#include "cmd/room.h"
#include "cmd/stage.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ARENA_BYTES = INT32_MAX };

#define MARK "{model}"
#define VARIABLE "FERRY_MODEL_DIR"

struct exec_settings {
    struct copy_settings copy; /* first: copy_group's offsets count from here */
    const char *to;
    bool memory;
    struct text_list include, exclude;
};
_Static_assert(offsetof(struct exec_settings, copy) == 0, "copy_group");

static const struct option exec_options[] = {
    {.name = "to",
     .type = OPTION_TEXT,
     .argument = "FOLDER",
     .offset = offsetof(struct exec_settings, to),
     .help = "where the model's files go; one of its own under $XDG_CACHE_HOME/ferry (~/.cache/ferry) unless "
             "told"},
    {.name = "memory",
     .type = OPTION_FLAG,
     .offset = offsetof(struct exec_settings, memory),
     .help = "one under /dev/shm/ferry instead, in memory; see above for what that costs"},
    {.name = "include",
     .letter = 'i',
     .type = OPTION_LIST,
     .argument = "PATTERN",
     .offset = offsetof(struct exec_settings, include),
     .help =
         "only these files: *.gguf anywhere, a/*.json in a, a/ all in such a folder; may be given several "
         "times"},
    {.name = "exclude",
     .letter = 'x',
     .type = OPTION_LIST,
     .argument = "PATTERN",
     .offset = offsetof(struct exec_settings, exclude),
     .help = "not these; may be given several times"},
};

/* One run of the command. */
struct exec {
    struct exec_settings settings;
    struct arena *arena;
    const char *again;
    const char *text; /* the model, as it was typed */
    struct uri uri;
    const char *folder;  /* absolute */
    const char *program; /* NULL: its name depends on the folder */
    char *const *words;  /* [count]: CMD and what stands behind it */
    int count;
};

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_MEMORY, "no memory");
}

/* --- where to --- */

/* The name of a folder of this model's own, below a cache. */
static char *cache_name(struct exec *x, struct err *e)
{
    const struct uri *u = &x->uri;
    size_t n = strlen(u->path);
    while (n && u->path[n - 1] == '/')
        n--;
    char *name =
        arena_printf(x->arena, "%s/%s%s%s%s%.*s", u->scheme == URI_HF ? "hf" : "gs", u->place,
                     u->revision ? "@" : "", u->revision ? u->revision : "", n ? "/" : "", (int)n, u->path);
    if (!name)
        no_memory(e);
    else if (name_stays_below(name, e))
        return name;
    err_wrap(e, "%s: no name for a folder here; --to gives one", x->text);
    return NULL;
}

static char *default_folder(struct exec *x, struct err *e)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    char *name = cache_name(x, e), *folder = NULL;
    if (!name)
        return NULL;
    if (x->settings.memory)
        folder = arena_printf(x->arena, "/dev/shm/ferry/%s", name);
    else if (cache && *cache == '/') /* a relative one counts for nothing (XDG Base Directory) */
        folder = arena_printf(x->arena, "%s/ferry/%s", cache, name);
    else if (home && *home == '/')
        folder = arena_printf(x->arena, "%s/.cache/ferry/%s", home, name);
    else {
        err_set(e, ERR_USAGE, "where to? neither XDG_CACHE_HOME nor HOME says; --to FOLDER or --memory does");
        return NULL;
    }
    if (!folder)
        no_memory(e);
    return folder;
}

/* The program may work in another folder. */
static char *absolute(struct exec *x, const char *path, struct err *e)
{
    char here[PATH_MAX], *whole = NULL;
    if (*path == '/')
        whole = arena_strndup(x->arena, path, strlen(path));
    else if (!getcwd(here, sizeof here)) {
        err_errno(e, "cannot tell the current folder");
        return NULL;
    } else
        whole = arena_printf(x->arena, "%s/%s", here, path);
    if (!whole)
        no_memory(e);
    return whole;
}

static bool choose_folder(struct exec *x, struct err *e)
{
    const char *to = x->settings.to;
    if (to && x->settings.memory)
        return err_set(e, ERR_USAGE, "--to and --memory: give one of them");
    if (to && !*to)
        return err_set(e, ERR_USAGE, "--to: expected the name of a folder");
    x->folder = to ? absolute(x, to, e) : default_folder(x, e);
    return x->folder != NULL;
}

/* --- a folder that is here already --- */

static bool take_local(struct exec *x, struct err *e)
{
    const struct exec_settings *s = &x->settings;
    char whole[PATH_MAX];
    struct stat st;
    if (s->to || s->memory || s->include.count || s->exclude.count)
        return err_set(
            e, ERR_USAGE,
            "%s: a folder here is used as it is; leave --to, --memory, --include and --exclude out", x->text);
    if (stat(x->uri.path, &st) != 0 || !realpath(x->uri.path, whole))
        return err_errno(e, "%s", x->text);
    if (!S_ISDIR(st.st_mode))
        return err_set(e, ERR_USAGE, "%s: a file, expected the folder of a model", x->text);
    x->folder = arena_strndup(x->arena, whole, strlen(whole));
    return x->folder || no_memory(e);
}

/* --- pulling --- */

static bool open_places(struct exec *x, struct stage *s, struct err *e)
{
    struct entry entry;
    bool folder = false, file = false;
    s->stores = stores_new(0, e);
    if (!s->stores || !stage_open_source(s, x->text, e) || !place_is_folder(&s->model, s->arena, &folder, e))
        return false;
    if (!folder && !place_stat(&s->model, s->arena, &entry, &file, e))
        return false;
    if (!folder)
        return err_set(e, ERR_NOT_FOUND,
                       file ? N_("%s: a file; a folder is pulled, of which --include takes a part")
                            : N_("%s: there is nothing of that name"),
                       x->text);
    return stage_open_target(s, x->folder, e);
}

/* A staged folder is complete when its manifest is there, and holds what that names. */
static bool check_source(struct stage *s, struct err *e)
{
    bool staged, staging = false;
    struct manifest m;
    if (s->model.uri.scheme != URI_GS)
        return true;
    if (!stage_read_source_manifest(s, &m, &staged, e))
        return false;
    for (int i = 0; i < s->count; i++)
        staging = staging || strncmp(s->files[i].name, ".ferry/", 7) == 0;
    if (!staged && staging)
        return err_set(e, ERR_BUSY,
                       "%s: is not staged completely yet; `ferry stage` goes on where it stopped", s->source);
    for (int i = 0, k = 0; staged && i < m.count; i++) { /* both in order of name */
        while (k < s->count && strcmp(s->files[k].name, m.files[i].name) < 0)
            k++;
        if (k == s->count || strcmp(s->files[k].name, m.files[i].name) != 0)
            return err_set(e, ERR_CORRUPT,
                           "%s: %s of its manifest is missing; `ferry stage --check` says more", s->source,
                           m.files[i].name);
    }
    return true;
}

static bool is_pulled(const struct stage_file *f)
{
    return f->choice == CHOICE_TAKEN && !f->certified;
}

/* Of an interrupted run: what is whole already, and what its part files hold. */
static uint64_t held_bytes(const struct stage *s, const struct stage_file *f)
{
    uint64_t size = f->source.size;
    if (f->there && f->there->size == size)
        return size;
    char *name = arena_printf(s->arena, "%s%s", s->prefix, f->name);
    uint64_t held = name ? upload_held(s->target.store, name) : 0;
    return held < size ? held : size;
}

static bool check_room(const struct exec *x, const struct stage *s, struct err *e)
{
    struct room room;
    uint64_t needed = 0, held = 0;
    for (int i = 0; i < s->count; i++) {
        if (!is_pulled(&s->files[i]))
            continue;
        needed += s->files[i].source.size;
        held += held_bytes(s, &s->files[i]);
    }
    return room_of(x->folder, &room, e) && room_check(x->folder, &room, needed, held, e);
}

/* Another state of the same model is brought up to date; another model is somebody else's. */
static bool make_way(const struct exec *x, struct stage *s, struct err *e)
{
    if (!s->has_manifest || stage_same_model(s))
        return true;
    if (strcmp(s->manifest.source, s->source) != 0)
        return err_set(e, ERR_USAGE, "%s holds %s; --to names another folder for %s", x->folder,
                       s->manifest.source, s->source);
    return stage_delete_manifest(s, e);
}

static void say_outcome(const struct exec *x, const struct stage *s, bool complete)
{
    const struct copying run = {.seconds = s->seconds};
    if (x->settings.copy.quiet)
        return;
    if (!complete)
        copying_print(stderr, &run, &s->outcome);
    fprintf(stderr, "%s is %s %s\n", x->text, complete ? "already in" : "in", x->folder);
}

static bool plan(const struct exec *x, const struct stage *s, struct err *e);

static bool pull_with(struct exec *x, struct stage *s, struct err *e)
{
    bool complete;
    if (!open_places(x, s, e) || !stage_look(s, &complete, e) || !check_source(s, e))
        return false;
    if (x->settings.copy.dry_run)
        return plan(x, s, e);
    if (!complete && !(make_way(x, s, e) && check_room(x, s, e) && stage_copy(s, e)))
        return false;
    say_outcome(x, s, complete);
    return true;
}

static bool pull(struct exec *x, struct err *e)
{
    struct stage s = {.arena = x->arena, .again = x->again, .what = "pulling"};
    s.settings.copy = x->settings.copy;
    s.settings.include = x->settings.include;
    s.settings.exclude = x->settings.exclude;
    bool ok = choose_folder(x, e) && pull_with(x, &s, e);
    stage_clear(&s);
    stores_free(s.stores); /* no connection goes along */
    return ok;
}

/* --- the program --- */

static json_t *words_json(const struct exec *x)
{
    char **words = launch_words(x->arena, x->words, x->count, MARK, x->folder);
    json_t *list = json_array();
    for (int i = 0; words && i < x->count; i++)
        json_array_append_new(list, json_string(words[i]));
    return list;
}

/* s NULL: a folder that is here. */
static bool plan(const struct exec *x, const struct stage *s, struct err *e)
{
    char **words = launch_words(x->arena, x->words, x->count, MARK, x->folder);
    char *line = words ? command_line(x->arena, words, x->count) : NULL;
    if (!line)
        return no_memory(e);
    if (x->settings.copy.json)
        return print_json(json_pack("{s:s, s:s?, s:s, s:b, s:o, s:o}", "source", s ? s->source : x->folder,
                                    "commit", s ? s->commit : NULL, "folder", x->folder, "dry_run", 1,
                                    "files", s ? stage_files_json(s, true) : json_array(), "command",
                                    words_json(x)),
                          e);
    if (s)
        stage_print_files(s);
    printf("Then: %s\n", line);
    return true;
}

static bool find_program(struct exec *x, struct err *e)
{
    if (strstr(x->words[0], MARK))
        return true; /* it lies in the model's folder */
    x->program = launch_find(x->words[0], x->arena, e);
    return x->program || err_wrap(e, "nothing was pulled");
}

/* What comes from here on acts on the program. */
static bool start(struct exec *x, struct err *e)
{
    char **words = launch_words(x->arena, x->words, x->count, MARK, x->folder);
    if (!words || setenv(VARIABLE, x->folder, 1) != 0)
        return no_memory(e);
    if (!x->program && !(x->program = launch_find(words[0], x->arena, e)))
        return false;
    if (!interrupt_release())
        return err_set(e, ERR_CANCELLED, "stopped before %s was started; the model is in %s", words[0],
                       x->folder);
    return launch(x->program, words, e);
}

static bool run(struct exec *x, struct err *e)
{
    if (x->settings.copy.json && !x->settings.copy.dry_run)
        return err_set(e, ERR_USAGE, "--json goes with --dry-run: else the output is the program's");
    if (!find_program(x, e) || !uri_parse(&x->uri, x->text, x->arena, e))
        return false;
    if (x->uri.scheme == URI_STDIO)
        return err_set(e, ERR_USAGE,
                       "- is no model; expected gs://BUCKET/PREFIX, hf://OWNER/NAME or a folder");
    bool local = x->uri.scheme == URI_LOCAL;
    if (!(local ? take_local(x, e) : pull(x, e)))
        return false;
    if (x->settings.copy.dry_run)
        return !local || plan(x, NULL, e);
    return start(x, e);
}

static bool run_exec(const struct command *c, char **args, int count, struct err *e)
{
    struct exec x = {.arena = arena_new(ARENA_BYTES)};
    struct operands o = {0};
    bool ok = false;

    if (!x.arena || !(x.again = command_again(x.arena, c->name, args, count))) {
        no_memory(e);
    } else if (options_read(c, args, count, &x.settings, &o, e)) {
        x.text = o.count ? o.items[0] : NULL;
        x.words = o.items + 1;
        x.count = o.count - 1;
        if (o.help)
            ok = (help_command(stdout, c), true);
        else if (o.count < 2)
            err_set(e, ERR_USAGE, "which model, for which program? usage: ferry exec %s", c->synopsis);
        else
            ok = run(&x, e);
    }
    arena_free(x.arena);
    return ok;
}

static const struct option_group exec_group = {"Options", exec_options,
                                               sizeof exec_options / sizeof *exec_options};
static const struct option_group *const exec_groups[] = {&exec_group, &copy_group, NULL};

static const char *const exec_examples[] = {
    "ferry exec gs://my-models/qwen2-audio -- vllm serve {model} --port 8080",
    "from a bucket, then vLLM; Ctrl-C and SIGTERM are vLLM's",
    "ferry exec hf://bartowski/Qwen2.5-7B-Instruct-GGUF -i '*Q4_K_M.gguf' -- sh -c 'exec llama-server -m "
    "{model}/*.gguf'",
    "one file of a repository, then llama.cpp",
    "ferry exec gs://my-models/qwen2-audio --to /mnt/disk/model -- python3 serve.py --model={model}",
    "to a volume of the service",
    NULL,
};

const struct command command_exec = {
    .name = "exec",
    .synopsis = "URI [options] -- CMD [ARGS…]",
    .summary = "pull a model into a folder, then become another program",
    .about =
        "Pulls gs://BUCKET/PREFIX or hf://OWNER/NAME[@REVISION] into a folder as `ferry cp` and `ferry "
        "stage` "
        "do: in parallel, each file checked, what is there already and was checked not again, what was "
        "interrupted (SIGTERM, kill -9) going on where it stopped. Then CMD takes this process's place, with "
        "{model} in its words replaced by the folder, which " VARIABLE
        " names too: signals and exit code are its own. A folder here is used as it is. CMD is looked for, "
        "and "
        "room in the folder's file system, before anything is pulled. Nothing is printed on stdout.\n"
        "\n"
        "Where there are safetensors, the same weights in other formats are left out, as by `ferry stage`.\n"
        "\n"
        "On Cloud Run every folder that is not a volume lies in memory, with or without --memory: the files "
        "count against the memory limit (32 GiB at most), beside what CMD loads from them, so a model of "
        "half "
        "the limit or more does not fit; each GiB costs 0.009 USD an hour (request-based billing in Tokyo; "
        "0.0072 instance-based). An ephemeral-disk volume is no memory and costs 0.00011 USD per GiB and "
        "hour: "
        "--to its mount path. Qwen2-Audio and Qwen2 models need none of that: `ferry serve` keeps one copy.",
    .examples = exec_examples,
    .groups = exec_groups,
    .max_operands = OPERANDS_ANY,
    .run = run_exec,
};
