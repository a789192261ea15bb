#include "cloud/storage/request.h"

#include "net/url.h"

#include <stdlib.h>
#include <string.h>

void url_start(struct url *u, struct cloud *c)
{
    *u = (struct url){.arena = arena_new(SCRATCH_BYTES)};
    if (u->arena)
        u->text = arena_printf(u->arena, "%s", cloud_endpoint(c, "storage"));
}

static void join(struct url *u, const char *more)
{
    if (u->text)
        u->text = more ? arena_printf(u->arena, "%s%s", u->text, more) : NULL;
}

void url_literal(struct url *u, const char *text)
{
    join(u, text);
}

void url_name(struct url *u, const char *text)
{
    u->unnamed |= !*text;
    if (u->text)
        join(u, url_segment(u->arena, text));
}

void url_slashed(struct url *u, const char *text)
{
    u->unnamed |= !*text;
    if (u->text)
        join(u, url_path(u->arena, text));
}

void url_number(struct url *u, const char *before, int64_t n)
{
    if (u->text)
        u->text = arena_printf(u->arena, "%s%s%lld", u->text, before, (long long)n);
}

void url_generation(struct url *u, char joint, int64_t if_generation)
{
    const char before[] = {joint, 0};
    if (if_generation == STORAGE_ANY_GENERATION)
        return;
    url_literal(u, before);
    url_number(u, "ifGenerationMatch=", if_generation);
}

bool url_ready(const struct url *u, struct err *e)
{
    if (u->unnamed)
        return err_set(e, ERR_USAGE, "a bucket or object without a name");
    return u->text || err_set(e, ERR_LIMIT, "the name is too long, or no memory is left");
}

void url_end(struct url *u)
{
    arena_free(u->arena);
    *u = (struct url){0};
}

void url_object(struct url *u, struct cloud *c, const char *bucket, const char *name)
{
    url_start(u, c);
    url_literal(u, "/storage/v1/b/");
    url_name(u, bucket);
    url_literal(u, "/o/");
    url_name(u, name);
}

void url_xml(struct url *u, struct cloud *c, const char *bucket, const char *name)
{
    url_start(u, c);
    url_literal(u, "/");
    url_name(u, bucket);
    url_literal(u, "/");
    url_slashed(u, name);
}
