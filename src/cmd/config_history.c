/* config_history.c: what a configuration was before. */
#include "cmd/config.h"

#include "base/catalog.h"
#include "base/utf8.h"
#include "cloud/storage.h"
#include "cmd/human.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN = 20, COLUMN = 60 };

/* A number so small counts versions back; no generation is. */
static const int64_t most_steps = 1000000;

char *config_history_name(const struct config_run *c, int64_t generation)
{
    if (generation == 0)
        return arena_printf(c->arena, "%s.history/", c->place.path);
    return arena_printf(c->arena, "%s.history/%lld.json", c->place.path, (long long)generation);
}

static int64_t read_number(const char *text, const char *end)
{
    char *behind;
    errno = 0;
    long long n = *text >= '1' && *text <= '9' ? strtoll(text, &behind, 10) : 0;
    return n > 0 && errno == 0 && strcmp(behind, end) == 0 ? n : 0;
}

int64_t config_history_generation(const char *leaf)
{
    return read_number(leaf, ".json");
}

/* --- what there is --- */

struct versions {
    struct config_run *run;
    size_t prefix;
    int64_t current;
    int64_t *generations; /* [count], newest first once sorted */
    size_t count, room;
};

static bool add(void *arg, const struct entry *entry, struct err *e)
{
    struct versions *v = arg;
    int64_t generation = config_history_generation(entry->name + v->prefix);
    if (generation == 0 || generation == v->current)
        return true; /* not ours; or kept by a set that then wrote nothing */
    if (v->count == v->room) {
        size_t room = v->room ? 2 * v->room : 64;
        int64_t *more = reallocarray(v->generations, room, sizeof *more);
        if (!more)
            return err_set(e, ERR_MEMORY, "no memory for the history");
        v->generations = more;
        v->room = room;
    }
    v->generations[v->count++] = generation;
    return true;
}

static int newest_first(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

static bool find_versions(struct versions *v, struct err *e)
{
    char *prefix = config_history_name(v->run, 0);
    if (!prefix)
        return err_set(e, ERR_MEMORY, "no memory for the history");
    v->prefix = strlen(prefix);
    if (!place_list(&v->run->place, prefix, STORE_DEEP, add, v, e))
        return false;
    if (v->count)
        qsort(v->generations, v->count, sizeof *v->generations, newest_first);
    return true;
}

static bool read_version(struct config_run *c, int64_t generation, struct config_object *o, struct err *e)
{
    char *name = config_history_name(c, generation);
    if (!name)
        return err_set(e, ERR_MEMORY, "no memory for the history");
    return config_object_read(c, name, o, e) &&
           (o->generation != STORAGE_ABSENT ||
            err_set(e, ERR_NOT_FOUND,
                    "%s: generation %lld is not kept; `ferry config history %s` lists those that are", c->uri,
                    (long long)generation, c->uri));
}

/* --- history --- */

/* At most COLUMN columns of it, characters whole. */
static void print_short(const struct config_object *o)
{
    char *text = o->json ? config_text(o->json, JSON_COMPACT) : NULL;
    size_t n = 0, columns = 0;
    for (int step; text && text[n] && columns < COLUMN && (step = utf8_length(text + n)) > 0; columns++)
        n += (size_t)step;
    if (text)
        printf("%.*s%s%s", (int)n, text, text[n] ? "…" : "", o->problem.kind ? "  " : "");
    puts(o->problem.kind ? "(refused by services)" : "");
    free(text);
}

static void print_line(const char *number, int64_t generation, const char *until,
                       const struct config_object *o)
{
    printf("%4s  %-19lld  %-20s  ", number, (long long)generation, until);
    print_short(o);
}

static json_t *version_json(int64_t generation, const char *time_name, const struct config_object *o)
{
    return json_pack("{s:o, s:s, s:O?, s:s?}", "generation", json_sprintf("%lld", (long long)generation),
                     time_name, o->updated, "config", o->json, "problem",
                     o->problem.kind ? o->problem.text : NULL);
}

/* list NULL: to the screen. */
static bool show_version(struct versions *v, size_t i, json_t *list, struct err *e)
{
    struct config_object o = {0};
    char number[24];
    snprintf(number, sizeof number, "%zu", i + 1);
    bool ok = read_version(v->run, v->generations[i], &o, e);
    if (ok && list)
        json_array_append_new(list, version_json(v->generations[i], "until", &o));
    else if (ok)
        print_line(number, v->generations[i], o.updated, &o);
    config_object_clear(&o);
    return ok;
}

static bool show_versions(struct versions *v, json_t *list, struct err *e)
{
    size_t shown = v->run->settings.all || v->count < SHOWN ? v->count : SHOWN;
    for (size_t i = 0; i < shown; i++)
        if (!show_version(v, i, list, e))
            return false;
    if (!list && shown < v->count)
        printf("… and %zu older; --all shows them\n", v->count - shown);
    return true;
}

static bool history_json(struct versions *v, const struct config_object *now, struct err *e)
{
    json_t *list = json_array();
    if (!list || !show_versions(v, list, e)) {
        json_decref(list);
        return list ? false : err_set(e, ERR_MEMORY, "no memory for the history");
    }
    json_t *current =
        now->generation == STORAGE_ABSENT ? json_null() : version_json(now->generation, "updated", now);
    return config_print(json_pack("{s:s, s:o, s:o, s:I}", "uri", v->run->uri, "current", current, "versions",
                                  list, "older", (json_int_t)(v->count - json_array_size(list))),
                        e);
}

static bool show_history(struct versions *v, const struct config_object *now, struct err *e)
{
    if (v->run->settings.json)
        return history_json(v, now, e);
    if (now->generation == STORAGE_ABSENT && v->count == 0) {
        printf("%s: there is no configuration, and none is kept\n", v->run->uri);
        return true;
    }
    printf("%4s  %-19s  %-20s  %s\n", "N", "generation", "until", "configuration");
    if (now->generation != STORAGE_ABSENT)
        print_line("-", now->generation, "now", now);
    return show_versions(v, NULL, e);
}

bool config_history(struct config_run *c, struct err *e)
{
    struct config_object now = {0};
    struct versions v = {.run = c};
    bool ok = config_object_read(c, c->place.path, &now, e);
    v.current = now.generation;
    ok = ok && find_versions(&v, e) && show_history(&v, &now, e);
    free(v.generations);
    config_object_clear(&now);
    return ok;
}

/* --- rollback --- */

static bool pick(struct versions *v, const char *which, int64_t *generation, struct err *e)
{
    int64_t n = read_number(which, "");
    if (n == 0)
        return err_set(e, ERR_USAGE,
                       "\"%.40s\": expected how many versions back (1: the one before), or a generation",
                       which);
    if (n > most_steps) {
        *generation = n;
        return true;
    }
    if (!find_versions(v, e))
        return false;
    if ((uint64_t)n > v->count)
        return err_set(e, ERR_NOT_FOUND,
                       v->count == 1 ? N_("%s: %zu earlier version is kept, so there is no number %lld")
                                     : N_("%s: %zu earlier versions are kept, so there is no number %lld"),
                       v->run->uri, v->count, (long long)n);
    *generation = v->generations[n - 1];
    return true;
}

bool config_rollback(struct config_run *c, const char *which, struct err *e)
{
    struct config_object now = {0}, old = {0};
    struct versions v = {.run = c};
    int64_t generation = 0;
    bool ok = config_object_read(c, c->place.path, &now, e);
    v.current = now.generation;
    ok = ok && pick(&v, which, &generation, e) && read_version(c, generation, &old, e) &&
         (old.problem.kind == ERR_NONE ||
          err_set(e, ERR_CORRUPT, "generation %lld is one that services refuse: %.800s",
                  (long long)generation, old.problem.text)) &&
         config_object_replace(c, &now, old.json, e);
    free(v.generations);
    config_object_clear(&now);
    config_object_clear(&old);
    return ok;
}
