#include "cmd/model_source.h"

#include "base/catalog.h"
#include "cmd/human.h"
#include "cmd/sources.h"
#include "loader/loader.h"
#include "model/memory_room.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* A connection that brings nothing for so long is given up: others bring the range meanwhile, but when all of
 * them are dead nobody else notices. */
enum { ARENA_BYTES = 1 << 20, PATIENCE_SECONDS = 10 };

struct model_source {
    struct arrival *arrival;
    struct arena *arena;
    const char *text;
    struct uri uri;
    struct stores *stores; /* NULL for a folder, as are the rest */
    struct place place;
    pthread_mutex_t mutex; /* guards the rest */
    struct loader *loader;
    bool stopping;
};

struct model_source *model_source_new(const char *text, struct arrival *a, struct err *e)
{
    struct model_source *s = calloc(1, sizeof *s);
    if (!s || !(s->arena = arena_new(ARENA_BYTES))) {
        free(s);
        err_set(e, ERR_MEMORY, "no memory to load a model");
        return NULL;
    }
    s->arrival = a;
    s->text = text;
    pthread_mutex_init(&s->mutex, NULL);
    if (uri_parse(&s->uri, text, s->arena, e)) {
        if (s->uri.scheme != URI_STDIO)
            return s;
        err_set(e, ERR_USAGE, "-: a model is a folder or a URI (gs://…, hf://…)");
    }
    model_source_free(s);
    return NULL;
}

void model_source_free(struct model_source *s)
{
    if (!s)
        return;
    loader_free(s->loader);
    stores_free(s->stores);
    pthread_mutex_destroy(&s->mutex);
    arena_free(s->arena);
    free(s);
}

bool model_source_arrives(const struct model_source *s)
{
    return s->uri.scheme != URI_LOCAL;
}

void model_source_stop(struct model_source *s)
{
    pthread_mutex_lock(&s->mutex);
    s->stopping = true;
    if (s->loader)
        loader_stop(s->loader);
    pthread_mutex_unlock(&s->mutex);
}

/* --- memory -----------------------------------------------------------------------------------------------
 */

bool model_fits(uint64_t weight_bytes, const struct engine_memory *m, int parallel, uint64_t room,
                struct err *e)
{
    char weights[HUMAN_TEXT], kv[HUMAN_TEXT], scratch[HUMAN_TEXT], sum[HUMAN_TEXT], there[HUMAN_TEXT];
    uint64_t one = m->kv_bytes / (uint64_t)parallel, need = weight_bytes + one + m->scratch_bytes;
    if (need <= room)
        return true;
    return err_set(
        e, ERR_MEMORY,
        "it does not fit into memory: weights %s + KV cache of one full context %s + activations %s = %s, "
        "and %s are available; give it more memory%s",
        human_bytes(weight_bytes, weights), human_bytes(one, kv), human_bytes(m->scratch_bytes, scratch),
        human_bytes(need, sum), human_bytes(room, there),
        weight_bytes + m->scratch_bytes < room ? _(", or a smaller --context or --kv q8") : "");
}

/* --- opening ----------------------------------------------------------------------------------------------
 */

static bool open_folder(struct model_source *s, struct loaded_model *m,
                        const struct engine_settings *settings, int parallel, struct err *e)
{
    arrival_phase(s->arrival, PHASE_FETCH);
    if (!engine_load(m, s->text, settings, parallel, e))
        return false;
    uint64_t bytes = engine_memory(m->engine).weight_bytes;
    arrival_expect(s->arrival, -1, bytes);
    arrival_add(s->arrival, -1, bytes);
    return true;
}

/* "gs://bucket/x", "hf://owner/name/x": what messages name, and what gives the model its name. */
static const char *where(const struct model_source *s, struct err *e)
{
    struct uri u = s->place.root;
    u.revision = NULL;
    const char *text = *s->place.path ? uri_join(s->arena, &u, s->place.path) : NULL;
    if (!*s->place.path)
        text = arena_printf(s->arena, "%s://%s", u.scheme == URI_GS ? "gs" : "hf", u.place);
    if (!text)
        err_set(e, ERR_MEMORY, "no memory to load a model");
    return text;
}

static bool open_place(struct model_source *s, struct err *e)
{
    s->stores = stores_new(0, e);
    if (!s->stores)
        return false;
    stores_patience(s->stores, PATIENCE_SECONDS);
    return place_open(&s->place, s->stores, s->text, s->arena, e);
}

static bool make_loader(struct model_source *s, struct err *e)
{
    struct loader_options o = {.store = s->place.store,
                               .prefix = *s->place.path ? place_prefix(&s->place, s->arena) : "",
                               .where = where(s, e),
                               .arrival = s->arrival};
    if (!o.where)
        return false;
    if (!o.prefix)
        return err_set(e, ERR_MEMORY, "no memory to load a model");
    pthread_mutex_lock(&s->mutex);
    s->loader = loader_new(&o, e);
    if (s->loader && s->stopping)
        loader_stop(s->loader);
    pthread_mutex_unlock(&s->mutex);
    return s->loader != NULL;
}

static bool open_remote(struct model_source *s, struct loaded_model *m,
                        const struct engine_settings *settings, int parallel, struct err *e)
{
    struct model model;
    char cpu[ENGINE_CPU_NAME];
    struct engine_options o = engine_options_of(settings, parallel, cpu);
    arrival_phase(s->arrival, PHASE_FILES);
    if (!open_place(s, e) || !make_loader(s, e) || !loader_open(s->loader, &model, e) ||
        !loaded_model_build(m, &model, loader_files(s->loader), engine_threads(settings), &o, e))
        return false;
    struct engine_memory memory = engine_memory(m->engine);
    if (model_fits(loader_bytes(s->loader), &memory, parallel, memory_room(), e))
        return true;
    loaded_model_close(m);
    return err_wrap(e, "%s", s->text);
}

bool model_source_open(struct model_source *s, struct loaded_model *m, const struct engine_settings *settings,
                       int parallel, struct err *e)
{
    if (model_source_arrives(s) ? open_remote(s, m, settings, parallel, e)
                                : open_folder(s, m, settings, parallel, e))
        return true;
    arrival_fail(s->arrival, e);
    return false;
}

bool model_source_bring(struct model_source *s, struct err *e)
{
    if (model_source_arrives(s))
        return loader_run(s->loader, e);
    arrival_end(s->arrival);
    return true;
}
