/* ls.c: `ferry ls`: what lies in a bucket, a repository or a folder. Printed as it is listed. */
#include "base/catalog.h"
#include "base/crc32c.h"
#include "cmd/commands.h"
#include "cmd/human.h"
#include "cmd/sources.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BYTES = 1 << 20 };

struct ls_settings {
    bool recursive, long_lines, json;
};

static const struct option ls_options[] = {
    {.name = "long",
     .letter = 'l',
     .type = OPTION_FLAG,
     .offset = offsetof(struct ls_settings, long_lines),
     .help = "size in bytes and time of change before each name, and a total"},
    {.name = "recursive",
     .letter = 'r',
     .type = OPTION_FLAG,
     .offset = offsetof(struct ls_settings, recursive),
     .help = "folders too, with all in them"},
    {.name = "json",
     .type = OPTION_FLAG,
     .offset = offsetof(struct ls_settings, json),
     .help = "print one JSON array with all that is known of each file"},
};

/* One run of the command. */
struct ls {
    struct ls_settings settings;
    struct stores *stores;
    struct place place;  /* being listed */
    const char *pattern; /* NULL: everything below the prefix */
    uint64_t files, bytes, lines;
    char *last; /* the folder printed last: those of a wildcard come once for each file in them */
};

static json_t *entry_json(const struct entry *entry, const char *uri)
{
    char crc32c[CRC32C_TEXT] = "";
    if (entry->has_crc32c)
        crc32c_print(entry->crc32c, crc32c);
    json_t *o = entry->folder
                    ? json_pack("{s:s, s:b}", "uri", uri, "folder", 1)
                    : json_pack("{s:s, s:I, s:s*, s:s*, s:s*, s:s*}", "uri", uri, "size",
                                (json_int_t)entry->size, "updated", entry->updated, "sha256", entry->sha256,
                                "git_blob", entry->git_blob, "crc32c", entry->has_crc32c ? crc32c : NULL);
    if (o && entry->generation && !entry->folder)
        json_object_set_new(o, "generation", json_integer(entry->generation));
    return o;
}

static bool print_entry_json(struct ls *l, const struct entry *entry, const char *uri, struct err *e)
{
    json_t *o = entry_json(entry, uri);
    char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    if (!text) /* jansson takes no bytes that are not UTF-8, which local names may have */
        return err_set(e, ERR_UNSUPPORTED, "%s: cannot be written as JSON", uri);
    printf("%s%s", l->lines ? ",\n " : "[", text);
    free(text);
    return true;
}

static void print_entry_line(const struct ls *l, const struct entry *entry, const char *uri)
{
    if (l->settings.long_lines && entry->folder)
        printf("%14s  %-24s  ", "", "");
    else if (l->settings.long_lines)
        printf("%14llu  %-24s  ", (unsigned long long)entry->size, entry->updated ? entry->updated : "");
    puts(uri);
}

static bool print_entry(struct ls *l, const struct entry *entry, struct err *e)
{
    struct arena *a = arena_new(ARENA_BYTES);
    char *uri = a ? place_uri(&l->place, entry->name, a) : NULL;
    bool ok = uri || err_set(e, ERR_MEMORY, "no memory for a name");
    if (uri && l->settings.json)
        ok = print_entry_json(l, entry, uri, e);
    else if (uri)
        print_entry_line(l, entry, uri);
    l->lines++;
    l->files += !entry->folder;
    l->bytes += entry->size;
    arena_free(a);
    return ok;
}

/* A folder that a wildcard matches, with the slash that shows what it is; once, however many files are in it.
 */
static bool print_folder(struct ls *l, const char *name, size_t n, struct err *e)
{
    if (l->last && strlen(l->last) == n + 1 && strncmp(l->last, name, n) == 0)
        return true;
    free(l->last);
    l->last = malloc(n + 2);
    if (!l->last)
        return err_set(e, ERR_MEMORY, "no memory for a name");
    memcpy(mempcpy(l->last, name, n), "/", 2);
    return print_entry(l, &(struct entry){.name = l->last, .folder = true}, e);
}

static bool on_entry(void *arg, const struct entry *entry, struct err *e)
{
    struct ls *l = arg;
    size_t n = l->pattern ? matched_part(l->pattern, entry->name) : strlen(entry->name);
    if (n == 0)
        return true;
    if (entry->name[n] == '/' && !l->settings.recursive)
        return print_folder(l, entry->name, n, e);
    return print_entry(l, entry, e);
}

static bool list_matches(struct ls *l, struct arena *a, struct err *e)
{
    size_t literal = strcspn(l->place.path, "*?[");
    bool deep = l->settings.recursive || strchr(l->place.path + literal, '/') || strstr(l->place.path, "**");
    char *prefix = arena_strndup(a, l->place.path, literal);
    l->pattern = l->place.path;
    return prefix && place_list(&l->place, prefix, deep ? STORE_DEEP : STORE_LEVEL, on_entry, l, e);
}

static bool list_folder(struct ls *l, struct arena *a, struct err *e)
{
    char *prefix = place_prefix(&l->place, a);
    l->pattern = NULL;
    return prefix &&
           place_list(&l->place, prefix, l->settings.recursive ? STORE_DEEP : STORE_LEVEL, on_entry, l, e);
}

static bool list(struct ls *l, const char *text, struct arena *a, struct err *e)
{
    struct entry entry;
    bool there = false, folder = false;
    uint64_t before = l->lines;

    if (!place_open(&l->place, l->stores, text, a, e))
        return false;
    if (!l->place.uri.folder && !place_stat(&l->place, a, &entry, &there, e))
        return false;
    if (there)
        return print_entry(l, &entry, e);
    if (!place_is_folder(&l->place, a, &folder, e))
        return false;
    bool whole = !*l->place.path; /* an empty bucket is no mistake */
    if (folder || whole)
        return list_folder(l, a, e);
    if (wildcard_in(l->place.path) && !list_matches(l, a, e))
        return false;
    return l->lines > before || err_set(e, ERR_NOT_FOUND,
                                        wildcard_in(l->place.path) ? N_("%s: there is nothing that matches")
                                                                   : N_("%s: there is nothing of that name"),
                                        text);
}

static void print_end(const struct ls *l)
{
    char text[HUMAN_TEXT];
    if (l->settings.json)
        puts(l->lines ? "]" : "[]");
    else if (l->settings.long_lines)
        printf("%14llu  bytes in %llu file%s (%s)\n", (unsigned long long)l->bytes,
               (unsigned long long)l->files, human_plural(l->files), human_bytes(l->bytes, text));
}

static bool run_ls(const struct command *c, char **args, int count, struct err *e)
{
    struct ls l = {0};
    struct operands o;
    bool ok = true;

    if (!options_read(c, args, count, &l.settings, &o, e))
        return false;
    if (o.help) {
        help_command(stdout, c);
        return true;
    }
    if (o.count == 0)
        return err_set(e, ERR_USAGE, "which place? usage: ferry ls %s", c->synopsis);
    l.stores = stores_new(0, e);
    if (!l.stores)
        return false;
    struct arena *a = arena_new(ARENA_BYTES);
    for (int i = 0; ok && i < o.count; i++)
        ok = a ? list(&l, o.items[i], a, e) : err_set(e, ERR_MEMORY, "no memory");
    if (ok)
        print_end(&l);
    free(l.last);
    arena_free(a);
    stores_free(l.stores);
    return ok;
}

static const struct option_group ls_group = {"Options", ls_options, sizeof ls_options / sizeof *ls_options};
static const struct option_group *const ls_groups[] = {&ls_group, NULL};

static const char *const ls_examples[] = {
    "ferry ls -l gs://bucket/models/",
    "one level, with sizes",
    "ferry ls -r hf://Qwen/Qwen2-Audio-7B-Instruct",
    "all files of a model on the hub",
    "ferry ls 'gs://bucket/**.safetensors' --json",
    "what a wildcard matches, for a program",
    NULL,
};

const struct command command_ls = {
    .name = "ls",
    .synopsis = "URI… [-l] [-r] [--json]",
    .summary = "list a bucket, a repository on the hub or a folder",
    .about =
        "Lists what lies at gs://BUCKET/PREFIX, hf://OWNER/NAME[@REVISION][/PATH] or a path: a file, one "
        "level of a folder, or what a wildcard matches (* and ? within a level, ** across levels). Folders "
        "end in a slash.",
    .examples = ls_examples,
    .groups = ls_groups,
    .max_operands = OPERANDS_ANY,
    .run = run_ls,
};
