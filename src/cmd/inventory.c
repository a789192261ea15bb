#include "cmd/inventory.h"

#include <stdlib.h>
#include <string.h>

struct taking {
    struct inventory *into;
    struct target_run *run;
};

/* Room for one more of that size. NULL with *e set. */
static void *grow(void *items, size_t count, size_t *room, size_t size, struct err *e)
{
    if (count < *room)
        return items;
    size_t more = *room * 2 + 8;
    void *grown = realloc(items, more * size);
    if (!grown)
        err_set(e, ERR_MEMORY, "no memory for a list");
    else
        *room = more;
    return grown;
}

static const char *keep(struct taking *t, const char *text)
{
    char *kept = text ? arena_strndup(t->run->arena, text, strlen(text)) : NULL;
    return kept ? kept : "";
}

static bool take_service(void *arg, const struct target_service *s, struct err *e)
{
    struct inventory *v = ((struct taking *)arg)->into;
    void *grown = grow(v->services, v->service_count, &v->service_room, sizeof *s, e);
    if (!grown)
        return false;
    v->services = grown;
    v->services[v->service_count++] = *s;
    return true;
}

static bool take_holding(void *arg, const struct holding *h, struct err *e)
{
    struct taking *t = arg;
    struct inventory *v = t->into;
    void *grown = grow(v->holdings, v->holding_count, &v->holding_room, sizeof *h, e);
    if (!grown)
        return false;
    v->holdings = grown;
    struct holding *mine = &v->holdings[v->holding_count++];
    *mine = *h;
    mine->name = keep(t, h->name);
    mine->place = keep(t, h->place);
    mine->region = keep(t, h->region);
    mine->machine = keep(t, h->machine);
    mine->storage_class = keep(t, h->storage_class);
    return true;
}

/* Without memory for the line, nobody hears of it: there is none for the rest either. */
static void take_unlisted(void *arg, const char *what, const char *why)
{
    struct taking *t = arg;
    struct inventory *v = t->into;
    struct err ignored = {0};
    void *grown = grow(v->unlisted, v->unlisted_count, &v->unlisted_room, sizeof *v->unlisted, &ignored);
    if (!grown)
        return;
    v->unlisted = grown;
    v->unlisted[v->unlisted_count++] = (struct unlisted){keep(t, what), keep(t, why)};
}

/* Without a network, what runs here is told all the same. */
static bool take_services(struct taking *t, const char *name, struct err *e)
{
    const struct target *one;
    for (size_t i = 0; (one = target_at(i)); i++) {
        struct err problem = {0};
        if (!one->status || one->status(t->run, name, take_service, t, &problem))
            continue;
        if (name || !t->run->cloud || i == 0) {
            *e = problem;
            return false;
        }
        take_unlisted(t, "services on Cloud Run", problem.text);
    }
    return true;
}

bool inventory_take(struct inventory *v, struct target_run *r, const char *name, struct err *e)
{
    struct taking t = {v, r};
    const struct holdings_ear ear = {take_holding, take_unlisted, &t};
    v->project = r->cloud ? r->project : NULL;
    if (!take_services(&t, name, e))
        return false;
    if (name)
        return v->service_count > 0 ||
               err_set(e, ERR_NOT_FOUND, "there is no service \"%s\"; `ferry status` lists those there are",
                       name);
    return !r->cloud || holdings_list(r, &ear, e);
}

void inventory_clear(struct inventory *v)
{
    free(v->services);
    free(v->holdings);
    free(v->unlisted);
    *v = (struct inventory){0};
}
