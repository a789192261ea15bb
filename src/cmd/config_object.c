/* config_object.c: a configuration where it lies: read, checked, changed. */
#include "cmd/config.h"

#include "base/catalog.h"
#include "cloud/storage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_MEMORY, "no memory for the configuration");
}

void config_object_clear(struct config_object *o)
{
    json_decref(o->json);
    o->json = NULL;
}

char *config_text(const json_t *json, size_t flags)
{
    return json_dumps(json, flags | JSON_REAL_PRECISION(15));
}

bool config_print(json_t *json, struct err *e)
{
    char *text = json ? config_text(json, JSON_COMPACT) : NULL;
    json_decref(json);
    if (!text)
        return no_memory(e);
    puts(text);
    free(text);
    return true;
}

/* --- reading --- */

/* As a service would. */
static bool judge(struct config_object *o)
{
    struct service_config parsed;
    struct arena *a = arena_new(SERVICE_CONFIG_ARENA);
    bool ok = a ? service_config_parse(&parsed, o->text, o->size, a, &o->problem)
                : err_set(&o->problem, ERR_MEMORY, "no memory for the configuration");
    arena_free(a);
    return ok;
}

static bool fill(struct config_run *c, const struct entry *entry, struct config_object *o, struct err *e)
{
    o->generation = entry->generation;
    o->updated = entry->updated;
    o->size = (size_t)entry->size;
    if (entry->size > SERVICE_CONFIG_MAX_BYTES) {
        err_set(&o->problem, ERR_LIMIT, "%llu bytes, expected at most %d", (unsigned long long)entry->size,
                SERVICE_CONFIG_MAX_BYTES);
        return true;
    }
    char *text = arena_alloc(c->arena, o->size + 1, 1);
    if (!text)
        return no_memory(e);
    o->text = text;
    if (!store_read(c->place.store, entry, 0, o->size, text, NULL, e))
        return false;
    o->json = json_loadb(text, o->size, JSON_REJECT_DUPLICATES, NULL);
    judge(o);
    return true;
}

bool config_object_read(struct config_run *c, const char *name, struct config_object *o, struct err *e)
{
    struct err problem = {0};
    struct entry entry;
    *o = (struct config_object){.generation = STORAGE_ABSENT, .updated = ""};
    if (store_stat(c->place.store, name, c->arena, &entry, &problem))
        return fill(c, &entry, o, e);
    if (problem.kind == ERR_NOT_FOUND)
        return true;
    *e = problem;
    return false;
}

bool config_object_check(const struct config_run *c, const struct config_object *o, struct err *e)
{
    if (o->problem.kind == ERR_NONE)
        return true;
    return err_set(e, o->problem.kind, "%s: a service refuses it: %.700s%s", c->uri, o->problem.text,
                   o->json ? "" : _(". `ferry cat` prints it as it is"));
}

static bool must_be_there(const struct config_run *c, const struct config_object *o, struct err *e)
{
    return o->generation != STORAGE_ABSENT ||
           err_set(e, ERR_NOT_FOUND,
                   "%s: there is no configuration; `ferry config set %s temperature=0.2` makes one", c->uri,
                   c->uri);
}

static bool print_object(const struct config_run *c, const struct config_object *o, struct err *e)
{
    char *text = NULL;
    if (c->settings.json)
        return config_print(json_pack("{s:s, s:o, s:s, s:O?, s:s?}", "uri", c->uri, "generation",
                                      json_sprintf("%lld", (long long)o->generation), "updated", o->updated,
                                      "config", o->json, "problem", o->problem.kind ? o->problem.text : NULL),
                            e);
    if (o->json && !(text = config_text(o->json, JSON_INDENT(2))))
        return no_memory(e);
    if (text)
        puts(text);
    free(text);
    return true;
}

bool config_get(struct config_run *c, struct err *e)
{
    struct config_object o = {0};
    bool ok = config_object_read(c, c->place.path, &o, e) && must_be_there(c, &o, e) &&
              print_object(c, &o, e) && config_object_check(c, &o, e);
    config_object_clear(&o);
    return ok;
}

/* --- replacing --- */

/* As it is, whatever a service makes of it. One that is kept already was kept by somebody who then did not
 * come to replace it. */
static bool keep(struct config_run *c, const struct config_object *now, struct err *e)
{
    struct err problem = {0};
    if (now->generation == STORAGE_ABSENT)
        return true;
    if (!now->text)
        return err_set(e, ERR_USAGE, "%s has %zu bytes, which is no configuration; is that its name?", c->uri,
                       now->size);
    char *name = config_history_name(c, now->generation);
    if (!name)
        return no_memory(e);
    if (store_put(c->place.store, name, now->text, now->size, STORAGE_ABSENT, c->arena, NULL, &problem) ||
        problem.kind == ERR_BUSY)
        return true;
    *e = problem;
    return err_wrap(e, "what is there could not be kept, so it was not replaced");
}

static bool put(struct config_run *c, const struct config_object *now, const char *text, struct entry *made,
                struct err *e)
{
    struct err problem = {0};
    if (store_put(c->place.store, c->place.path, text, strlen(text), now->generation, c->arena, made,
                  &problem))
        return true;
    *e = problem;
    return problem.kind == ERR_BUSY
               ? err_set(e, ERR_BUSY,
                         "%s: somebody else has changed it just now, so yours was not written; look with "
                         "`ferry config get %s`, then do it again",
                         c->uri, c->uri)
               : false;
}

static bool tell(const struct config_run *c, const struct config_object *now, const struct entry *made,
                 const json_t *json, struct err *e)
{
    long long before = now->generation, generation = made->generation;
    if (c->settings.json)
        return config_print(json_pack("{s:s, s:o, s:o, s:O}", "uri", c->uri, "generation",
                                      json_sprintf("%lld", generation), "before",
                                      before ? json_sprintf("%lld", before) : json_null(), "config", json),
                            e);
    printf("%s is now generation %lld; services take it with their next requests\n", c->uri, generation);
    if (before)
        printf("Generation %lld is kept: `ferry config rollback %s` brings it back\n", before, c->uri);
    return true;
}

static bool check_text(const char *text, struct err *e)
{
    struct config_object o = {.text = text, .size = strlen(text)};
    if (judge(&o))
        return true;
    *e = o.problem;
    return err_wrap(e, "this is not a configuration, nothing was written");
}

static bool write_text(struct config_run *c, const struct config_object *now, const json_t *json,
                       const char *text, struct err *e)
{
    struct entry made;
    if (!check_text(text, e))
        return false;
    if (now->text && strcmp(now->text, text) == 0) {
        if (c->settings.json)
            return tell(c, now, &(struct entry){.generation = now->generation}, json, e);
        printf("%s is so already (generation %lld); nothing was written\n", c->uri,
               (long long)now->generation);
        return true;
    }
    if (c->settings.dry_run) {
        fputs(text, stdout);
        if (!c->settings.json)
            printf("Nothing was written to %s\n", c->uri);
        return true;
    }
    return keep(c, now, e) && put(c, now, text, &made, e) && tell(c, now, &made, json, e);
}

bool config_object_replace(struct config_run *c, const struct config_object *now, const json_t *json,
                           struct err *e)
{
    char *bare = config_text(json, JSON_INDENT(2)), *text = NULL;
    if (bare)
        text = arena_printf(c->arena, "%s\n", bare);
    free(bare);
    return text ? write_text(c, now, json, text, e) : no_memory(e);
}

/* --- set --- */

static bool set_word(json_t *json, const char *word, struct arena *a, struct err *e)
{
    const char *equals = strchr(word, '=');
    if (!equals)
        return err_set(e, ERR_USAGE, "\"%.60s\": expected KEY=VALUE, such as temperature=0.2", word);
    char *name = arena_strndup(a, word, (size_t)(equals - word));
    json_t *value = name ? service_config_value(name, equals + 1, e) : NULL;
    if (!name)
        return no_memory(e);
    return value && (json_object_set_new(json, name, value) == 0 || no_memory(e));
}

static bool edit(const struct config_run *c, json_t *json, char *const *words, int count, struct err *e)
{
    for (int i = 0; i < count; i++)
        if (!set_word(json, words[i], c->arena, e))
            return false;
    for (int i = 0; i < c->settings.unset.count; i++) {
        const char *name = c->settings.unset.items[i];
        if (!json_object_get(json, name) && !service_config_knows(name, e))
            return false;
        json_object_del(json, name);
    }
    return true;
}

/* What the words are to change: what is there, or nothing yet. */
static json_t *base(const struct config_run *c, const struct config_object *now, struct err *e)
{
    if (now->generation == STORAGE_ABSENT)
        return json_object();
    if (json_is_object(now->json))
        return json_deep_copy(now->json);
    *e = now->problem;
    err_wrap(e, "%s: cannot be changed field by field, --file replaces it whole", c->uri);
    return NULL;
}

/* The file's bytes, or all of stdin ("-"). */
static char *read_file(const struct config_run *c, size_t *size, struct err *e)
{
    const char *path = c->settings.file;
    bool in = strcmp(path, "-") == 0;
    FILE *f = in ? stdin : fopen(path, "re");
    char *text = arena_alloc(c->arena, SERVICE_CONFIG_MAX_BYTES + 2, 1);
    if (!f || !text) {
        f ? no_memory(e) : err_errno(e, "%s", path);
        return NULL;
    }
    *size = fread(text, 1, SERVICE_CONFIG_MAX_BYTES + 1, f);
    bool ok = !ferror(f) || err_errno(e, "%s", in ? "stdin" : path);
    if (!in)
        fclose(f);
    return ok ? text : NULL;
}

static json_t *load_file(const struct config_run *c, struct err *e)
{
    struct config_object o = {0};
    if (!(o.text = read_file(c, &o.size, e)))
        return NULL;
    if (judge(&o))
        return json_loadb(o.text, o.size, 0, NULL);
    *e = o.problem;
    err_wrap(e, "%s: this is not a configuration, nothing was written", c->settings.file);
    return NULL;
}

bool config_set(struct config_run *c, char *const *words, int count, struct err *e)
{
    struct config_object now = {0};
    json_t *json = NULL;
    if (c->settings.file ? count || c->settings.unset.count : !count && !c->settings.unset.count)
        return err_set(e, ERR_USAGE, "what is to be set? KEY=VALUE… and --unset KEY, or --file FILE alone");
    bool ok = config_object_read(c, c->place.path, &now, e) &&
              (json = c->settings.file ? load_file(c, e) : base(c, &now, e)) &&
              edit(c, json, words, count, e) && config_object_replace(c, &now, json, e);
    json_decref(json);
    config_object_clear(&now);
    return ok;
}
