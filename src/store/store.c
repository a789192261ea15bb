#include "store/store.h"

#include "store/place/part_file.h"
#include "store/place/place.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { CONFIG_BYTES = 4 << 20 };

struct stores {
    struct http *http;
    struct arena *arena; /* of the configuration */
    struct gcloud_config config;
    struct cloud *cloud;
    const struct retry_policy *policy;
    struct {
        pthread_mutex_t mutex;
        struct hub *hub; /* made when the first repository is opened */
        struct store *list;
    } locked;
};

enum {
    POUR_PIECE = 8 << 20,
    STALL_SECONDS = 30, /* bytes that do not come: another connection may bring them */
};

struct stores *stores_new(int per_host, struct err *e)
{
    struct stores *s = calloc(1, sizeof *s);
    if (!s) {
        err_set(e, ERR_MEMORY, "no memory for the stores");
        return NULL;
    }
    pthread_mutex_init(&s->locked.mutex, NULL);
    if (!(s->arena = arena_new(CONFIG_BYTES)))
        err_set(e, ERR_MEMORY, "no memory for the configuration");
    else if (gcloud_config_read(&s->config, s->arena, e) && (s->http = http_new(e)) &&
             (s->cloud = cloud_new(s->http, &s->config, e))) {
        http_limit(s->http, per_host);
        http_patience(s->http, STALL_SECONDS);
        return s;
    }
    stores_free(s);
    return NULL;
}

void stores_free(struct stores *s)
{
    if (!s)
        return;
    for (struct store *one = s->locked.list, *next; one; one = next) {
        next = one->next;
        one->kind->close(one);
    }
    hub_free(s->locked.hub);
    cloud_free(s->cloud);
    http_free(s->http);
    arena_free(s->arena);
    pthread_mutex_destroy(&s->locked.mutex);
    free(s);
}

struct cloud *stores_cloud(struct stores *s)
{
    return s->cloud;
}

void stores_patience(struct stores *s, int seconds)
{
    http_patience(s->http, seconds);
}

void stores_wind_down(struct stores *s, const volatile sig_atomic_t *stop)
{
    http_wind_down(s->http, stop);
}

void stores_retry(struct stores *s, const struct retry_policy *policy)
{
    s->policy = policy;
    cloud_set_retry(s->cloud, policy);
}

/* --- opening --- */

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static struct store *find_locked(struct stores *s, const struct uri *u)
{
    struct store *one = s->locked.list;
    while (one && !(one->uri.scheme == u->scheme && same_text(one->uri.place, u->place) &&
                    same_text(one->uri.revision, u->revision)))
        one = one->next;
    return one;
}

static struct store *open_repository_locked(struct stores *s, const struct uri *u, struct err *e)
{
    if (!s->locked.hub && !(s->locked.hub = hub_new(s->http, e)))
        return NULL;
    if (s->policy)
        hub_set_retry(s->locked.hub, s->policy);
    return hf_open(s->locked.hub, u, e);
}

static struct store *open_locked(struct stores *s, const struct uri *u, struct err *e)
{
    switch (u->scheme) {
    case URI_LOCAL:
        return local_open(e);
    case URI_GS:
        return gs_open(s->cloud, u, e);
    case URI_HF:
        return open_repository_locked(s, u, e);
    case URI_STDIO:
        break;
    }
    err_set(e, ERR_USAGE, "-: stdin and stdout are no store");
    return NULL;
}

struct store *stores_open(struct stores *s, const struct uri *u, struct err *e)
{
    pthread_mutex_lock(&s->locked.mutex);
    struct store *one = find_locked(s, u);
    if (!one && (one = open_locked(s, u, e))) {
        one->next = s->locked.list;
        s->locked.list = one;
    }
    pthread_mutex_unlock(&s->locked.mutex);
    return one;
}

enum uri_scheme store_scheme(const struct store *s)
{
    return s->uri.scheme;
}

const char *store_commit(const struct store *s)
{
    return s->commit;
}

/* --- to the kind of store --- */

bool store_list(struct store *s, const char *prefix, enum store_depth depth, entry_fn fn, void *arg,
                struct err *e)
{
    return s->kind->list(s, prefix, depth, fn, arg, e);
}

bool store_stat(struct store *s, const char *name, struct arena *a, struct entry *out, struct err *e)
{
    return s->kind->stat(s, name, a, out, e);
}

static bool check_range(const struct entry *from, uint64_t offset, uint64_t size, struct err *e)
{
    return (offset <= from->size && size <= from->size - offset) ||
           err_set(e, ERR_USAGE, "%s: %llu bytes from %llu asked for, it has %llu", from->name,
                   (unsigned long long)size, (unsigned long long)offset, (unsigned long long)from->size);
}

bool store_read(struct store *s, const struct entry *from, uint64_t offset, size_t size, void *into,
                const volatile sig_atomic_t *stop, struct err *e)
{
    return check_range(from, offset, size, e) && s->kind->read(s, from, offset, size, into, stop, e);
}

static bool pour_in_pieces(struct store *s, const struct entry *from, uint64_t offset, uint64_t size,
                           store_take_fn take, void *arg, const volatile sig_atomic_t *stop, struct err *e)
{
    size_t room = size < POUR_PIECE ? (size_t)size : POUR_PIECE, n;
    char *piece = malloc(room + 1);
    bool ok = piece || err_set(e, ERR_MEMORY, "no memory to read a file in pieces");
    for (uint64_t at = 0; ok && at < size; at += n) {
        n = size - at < room ? (size_t)(size - at) : room;
        ok = s->kind->read(s, from, offset + at, n, piece, stop, e) && take(arg, piece, n, e);
    }
    free(piece);
    return ok;
}

bool store_pour(struct store *s, const struct entry *from, uint64_t offset, uint64_t size, store_take_fn take,
                void *arg, const volatile sig_atomic_t *stop, struct err *e)
{
    if (!check_range(from, offset, size, e))
        return false;
    return (s->kind->pour ? s->kind->pour : pour_in_pieces)(s, from, offset, size, take, arg, stop, e);
}

bool store_read_changed(struct store *s, const char *name, int64_t known, void *into, size_t room,
                        const volatile sig_atomic_t *stop, struct store_change *out, struct err *e)
{
    *out = (struct store_change){0};
    if (!s->kind->read_changed)
        return err_set(e, ERR_UNSUPPORTED, "%s: what lies at one commit on the hub does not change", name);
    return s->kind->read_changed(s, name, known, into, room, stop, out, e);
}

bool store_delete(struct store *s, const struct entry *what, struct err *e)
{
    return s->kind->remove(s, what, e);
}

bool store_put(struct store *s, const char *name, const void *bytes, size_t size, int64_t if_generation,
               struct arena *a, struct entry *out, struct err *e)
{
    return s->kind->put(s, name, bytes, size, if_generation, a, out, e);
}

uint64_t upload_held(struct store *s, const char *name)
{
    return s->uri.scheme == URI_LOCAL ? part_file_held(name) : 0;
}

bool store_copies(const struct store *from, const struct store *to)
{
    return from->kind == to->kind && from->kind->copy;
}

bool store_copy(const struct store_copy *copy, struct rewrite_state *at, struct arena *a, struct entry *out,
                struct err *e)
{
    if (!store_copies(copy->from, copy->to))
        return err_set(e, ERR_UNSUPPORTED, "%s: these two places make no copies themselves", copy->name);
    return copy->from->kind->copy(copy, at, a, out, e);
}

struct upload *upload_begin(struct store *s, const struct upload_spec *spec, const char *resume,
                            struct err *e)
{
    return s->kind->begin(s, spec, resume, e);
}
