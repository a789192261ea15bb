#include "cmd/config_source.h"

#include "store/store.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ARENA_BYTES = 64 << 10, PATH_BYTES = 4096 };

/* A look that fails is followed by the next request's: better soon than stubborn. */
static const struct retry_policy quick = {
    .first_ms = 100, .cap_ms = 500, .max_tries = 3, .max_seconds = 5, .longest_wait_s = 2};

struct config_place {
    struct config_source source;
    struct arena *arena;
    struct uri uri;
    struct stores *stores; /* NULL until the first fetch */
    struct store *store;
};

static bool open_store(struct config_place *p, struct err *e)
{
    if (p->store)
        return true;
    if (!p->stores && !(p->stores = stores_new(0, e)))
        return false;
    cloud_set_retry(stores_cloud(p->stores), &quick);
    return (p->store = stores_open(p->stores, &p->uri, e)) != NULL;
}

static bool fetch(void *arg, int64_t known, char *into, size_t room, const volatile sig_atomic_t *stop,
                  struct config_found *out, struct err *e)
{
    struct config_place *p = arg;
    struct store_change c;
    if (!open_store(p, e) || !store_read_changed(p->store, p->uri.path, known, into, room, stop, &c, e))
        return false;
    *out = (struct config_found){.changed = c.changed, .generation = c.generation, .size = c.size};
    return true;
}

static bool check_uri(const char *text, const struct uri *u, struct err *e)
{
    if (u->scheme != URI_GS && u->scheme != URI_LOCAL)
        return err_set(e, ERR_USAGE, "%s: expected gs://BUCKET/NAME or the path of a file", text);
    return !u->folder ||
           err_set(e, ERR_USAGE, "%s: a folder, expected the name of an object in it: %s%sconfig.json", text,
                   text, text[strlen(text) - 1] == '/' ? "" : "/");
}

const char *config_uri(const char *text, struct arena *a, struct uri *u, struct err *e)
{
    if (!uri_parse(u, text, a, e))
        return NULL;
    if (u->scheme == URI_HF && !strstr(text, "://")) {
        if (!(text = arena_printf(a, "./%s", text)))
            err_set(e, ERR_MEMORY, "no memory for the configuration's place");
        if (!text || !uri_parse(u, text, a, e))
            return NULL;
    }
    return check_uri(text, u, e) ? text : NULL;
}

/* What people are told: a path that means the same from anywhere. */
static bool name_source(struct config_place *p, const char *text, struct err *e)
{
    char folder[PATH_BYTES];
    bool relative = p->uri.scheme == URI_LOCAL && *text != '/';
    if (relative && !getcwd(folder, sizeof folder))
        return err_errno(e, "cannot tell the current folder");
    p->source.uri = relative ? arena_printf(p->arena, "%s/%s", folder, text)
                             : arena_strndup(p->arena, text, strlen(text));
    return p->source.uri || err_set(e, ERR_MEMORY, "no memory for the configuration's place");
}

struct config_place *config_place_new(const char *uri, struct err *e)
{
    struct config_place *p = calloc(1, sizeof *p);
    if (p)
        p->arena = arena_new(ARENA_BYTES);
    if (!p || !p->arena)
        err_set(e, ERR_MEMORY, "no memory for the configuration's place");
    else if ((uri = config_uri(uri, p->arena, &p->uri, e)) && name_source(p, uri, e)) {
        p->source.fetch = fetch;
        p->source.arg = p;
        return p;
    }
    config_place_free(p);
    return NULL;
}

void config_place_free(struct config_place *p)
{
    if (!p)
        return;
    stores_free(p->stores);
    arena_free(p->arena);
    free(p);
}

const struct config_source *config_place_source(const struct config_place *p)
{
    return &p->source;
}
