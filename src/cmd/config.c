/* config.c: `ferry config get|set|history|rollback`: what a service's operator sets, while it runs. */
#include "cmd/config.h"

#include "cmd/commands.h"
#include "cmd/config_source.h"
#include "cmd/service_client.h"
#include "cmd/service_name.h"

#include <string.h>

enum { ARENA_BYTES = 256 << 20 };

static const struct option config_options[] = {
    {.name = "file",
     .letter = 'f',
     .type = OPTION_TEXT,
     .argument = "FILE",
     .offset = offsetof(struct config_settings, file),
     .help = "set: the whole object from a file, or - for stdin"},
    {.name = "unset",
     .letter = 'u',
     .type = OPTION_LIST,
     .argument = "KEY",
     .offset = offsetof(struct config_settings, unset),
     .help = "set: take this field out, so that the model's own default counts; may be given several times"},
    {.name = "all",
     .type = OPTION_FLAG,
     .offset = offsetof(struct config_settings, all),
     .help = "history: more than the newest 20"},
    {.name = "dry-run",
     .type = OPTION_FLAG,
     .offset = offsetof(struct config_settings, dry_run),
     .help = "set, rollback: print what would be written, and write nothing"},
    {.name = "json",
     .type = OPTION_FLAG,
     .offset = offsetof(struct config_settings, json),
     .help = "print the result as one JSON object"},
    {.type = OPTION_TEXT,
     .env = "FERRY_API_KEY",
     .offset = offsetof(struct config_settings, api_key),
     .help = "the key that a service asks for"},
};

/* What stands behind the verb and the place. */
struct words {
    char **items;
    int count;
};

static bool get(struct config_run *c, const struct words *w, struct err *e)
{
    (void)w;
    return config_get(c, e);
}

static bool set(struct config_run *c, const struct words *w, struct err *e)
{
    return config_set(c, w->items, w->count, e);
}

static bool history(struct config_run *c, const struct words *w, struct err *e)
{
    (void)w;
    return config_history(c, e);
}

static bool rollback(struct config_run *c, const struct words *w, struct err *e)
{
    return config_rollback(c, w->count ? w->items[0] : "1", e);
}

static const struct verb {
    const char *name;
    int max_words;
    bool (*run)(struct config_run *c, const struct words *w, struct err *e);
} verbs[] = {
    {"get", 0, get},
    {"set", OPERANDS_ANY, set},
    {"history", 0, history},
    {"rollback", 1, rollback},
};

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

/* A service's name becomes what is asked or changed: the object that it reads, or itself for what it has in
 * force. One that sleeps is not woken for that. NULL with *e set. */
static const char *find_target(struct config_run *c, const struct verb *v, const char *target, struct err *e)
{
    struct target_service s;
    enum service_found found = service_by_name(target, c->arena, &s, e);
    if (found != SERVICE_FOUND)
        return found == SERVICE_NONE ? target : NULL;
    if (v->run == get && s.state && strcmp(s.state, "awake") == 0)
        return service_key(&s, c->settings.api_key, c->arena, &c->settings.api_key, e) ? s.url : NULL;
    if (!s.config)
        err_set(e, ERR_NOT_FOUND,
                "%s has no live configuration; `ferry deploy %s … --config URI` gives it one", s.name,
                s.name);
    return s.config;
}

static bool open_object(struct config_run *c, const char *target, struct err *e)
{
    struct uri u;
    if (service_is_url(target) && !(target = config_service_source(c, target, e)))
        return false;
    return (c->uri = config_uri(target, c->arena, &u, e)) && (c->stores = stores_new(0, e)) &&
           place_open(&c->place, c->stores, c->uri, c->arena, e);
}

static bool run_verb(struct config_run *c, const struct verb *v, const char *target, const struct words *w,
                     struct err *e)
{
    if (v->run == get && service_is_url(target))
        return config_service_get(c, target, e);
    return open_object(c, target, e) && v->run(c, w, e);
}

/* An option of another verb would be passed over in silence. */
static bool check_options(const struct config_settings *s, const struct verb *v, struct err *e)
{
    if ((s->file || s->unset.count) && v->run != set)
        return err_set(e, ERR_USAGE, "--file and --unset go with set");
    if (s->all && v->run != history)
        return err_set(e, ERR_USAGE, "--all goes with history");
    if (s->dry_run && v->run != set && v->run != rollback)
        return err_set(e, ERR_USAGE, "--dry-run goes with set and rollback");
    return true;
}

static bool run_config(const struct command *command, char **args, int count, struct err *e)
{
    struct config_run c = {0};
    struct operands o;

    if (!options_read(command, args, count, &c.settings, &o, e))
        return false;
    if (o.help) {
        help_command(stdout, command);
        return true;
    }
    const struct verb *v = o.count ? find_verb(o.items[0]) : NULL;
    if (!v || o.count < 2)
        return err_set(e, ERR_USAGE, "what with which configuration? usage: ferry config %s",
                       command->synopsis);
    const struct words w = {o.items + 2, o.count - 2};
    if (v->max_words != OPERANDS_ANY && w.count > v->max_words)
        return err_set(e, ERR_USAGE, "unexpected argument \"%.60s\"; usage: ferry config %s",
                       w.items[v->max_words], command->synopsis);
    if (!check_options(&c.settings, v, e))
        return false;
    c.arena = arena_new(ARENA_BYTES);
    const char *target = c.arena ? find_target(&c, v, o.items[1], e) : NULL;
    if (!c.arena)
        err_set(e, ERR_MEMORY, "no memory");
    bool ok = target && run_verb(&c, v, target, &w, e);
    stores_free(c.stores);
    arena_free(c.arena);
    return ok;
}

static const struct option_group config_group = {"Options", config_options,
                                                 sizeof config_options / sizeof *config_options};
static const struct option_group *const config_groups[] = {&config_group, NULL};

static const char *const config_examples[] = {
    "ferry config set gs://my-models/config.json temperature=0.2 max_tokens=300",
    "two fields; the others stay as they are",
    "ferry config set gs://my-models/config.json system_prompt=\"$(cat prompt.txt)\" --unset seed",
    "a prompt from a file; the seed is drawn again",
    "ferry config get https://my-service.run.app",
    "what a service has in force, and what it has refused",
    "ferry config history gs://my-models/config.json",
    "what was in force before",
    "ferry config rollback gs://my-models/config.json",
    "back to the one before; again: forth",
    NULL,
};

const struct command command_config = {
    .name = "config",
    .synopsis = "get|set|history|rollback NAME|URI|URL [KEY=VALUE…|N|GENERATION] [options]",
    .summary = "change a service's prompt and sampling while it runs",
    .about =
        "A service that was started with --config URI (or FERRY_CONFIG) takes its system prompt and sampling "
        "parameters from one JSON object, in a bucket or a file, and a change with its next requests, "
        "without "
        "a redeploy: while requests come it looks every 2 seconds (--config-seconds) whether there is "
        "another "
        "generation, and the first request after a pause waits for that look, half a second at most. Each "
        "answer is made under one configuration from begin to end; the header X-Ferry-Config-Generation says "
        "which.\n"
        "\n"
        "Fields: system_prompt (when a conversation brings none of its own), temperature (0 to 2), top_p and "
        "min_p (0 to 1), top_k, repetition_penalty (0.01 to 100), max_tokens, stop (a string or "
        "[\"a\", \"b\"]), seed. All may be left out; what a request says itself comes first. A bad object "
        "changes nothing: the last good one stays in force, and the log, /metrics and `ferry config get URL` "
        "say why.\n"
        "\n"
        "set changes fields and writes only what a service would take, and only over what it has read: when "
        "somebody else was quicker it says so. What is replaced is kept under URI.history/. rollback writes "
        "an earlier version anew: number N of history (1, the one before, unless told) or a generation. URL "
        "is a service's address, NAME one of `ferry deploy`; set, history and rollback then go to the object "
        "that it reads.",
    .examples = config_examples,
    .groups = config_groups,
    .max_operands = OPERANDS_ANY,
    .run = run_config,
};
