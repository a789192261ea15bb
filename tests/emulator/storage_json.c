/* storage_json.c: buckets and objects of the JSON API (discovery document storage-v1), all but uploads. */
#include "hash.h"
#include "storage.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 1000, MAX_SOURCES = 32, MAX_COMPONENTS_NAME = 1024 };

void begin_json(struct exchange *x)
{
    (void)authorized_json(x);
}

static struct bucket *find_bucket_locked(struct exchange *x, const char *name)
{
    struct bucket *b = bucket_find_locked(x->service->world, name);
    if (!b)
        fail_json(x, 404, "notFound", "The specified bucket does not exist.");
    return b;
}

/* The live object, or that generation of it; answers 404. */
static struct object *find_object_locked(struct exchange *x, const char *bucket, const char *name)
{
    int64_t generation;
    struct object *o =
        find_bucket_locked(x, bucket) ? object_find_locked(x->service->world, bucket, name) : NULL;
    if (o && argument_number(x, "generation", &generation) && generation != o->generation)
        o = NULL;
    if (!o)
        fail_json(x, 404, "notFound", "No such object: %s/%s", bucket, name);
    return o;
}

/* ---- buckets ---- */

static json_t *bucket_resource(struct exchange *x, const struct bucket *b)
{
    json_t *j = json_deep_copy(b->resource);
    json_object_set_new(j, "selfLink",
                        json_string(arena_printf(x->arena, "%s/storage/v1/b/%s", x->origin, b->name)));
    return j;
}

static bool is_bucket_name(const char *name)
{
    size_t size = strlen(name);
    if (size < 3 || size > 63 || !isalnum((unsigned char)name[0]) || !isalnum((unsigned char)name[size - 1]))
        return false;
    for (const char *c = name; *c; c++)
        if (!islower((unsigned char)*c) && !isdigit((unsigned char)*c) && !strchr("-_.", *c))
            return false;
    return true;
}

static const char *location_type(const char *location)
{
    return strchr(location, '-') ? "region" : strlen(location) == 4 ? "dual-region" : "multi-region";
}

static void set_default(json_t *j, const char *key, json_t *value)
{
    if (json_object_get(j, key))
        json_decref(value);
    else
        json_object_set_new(j, key, value);
}

/* What the service adds to a new bucket. */
static void fill_bucket(struct world *w, json_t *j)
{
    char now[40], location[64] = "US";
    int64_t us = world_generation_locked(w);
    struct arena *a = arena_new(4096);
    snprintf(now, sizeof now, "%s", time_text(a, us));
    arena_free(a);
    const char *given = json_string_value(json_object_get(j, "location"));
    if (given)
        snprintf(location, sizeof location, "%s", given);
    for (char *c = location; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    json_object_set_new(j, "kind", json_string("storage#bucket"));
    json_object_set(j, "id", json_object_get(j, "name"));
    json_object_set_new(j, "location", json_string(location));
    json_object_set_new(j, "locationType", json_string(location_type(location)));
    json_object_set_new(j, "projectNumber", json_string("123456789012"));
    json_object_set_new(j, "metageneration", json_string("1"));
    json_object_set_new(j, "generation", json_integer(us));
    json_object_set_new(j, "etag", json_string("CAE="));
    json_object_set_new(j, "timeCreated", json_string(now));
    json_object_set_new(j, "updated", json_string(now));
    set_default(j, "storageClass", json_string("STANDARD"));
    /* seven days unless told otherwise, and billed */
    set_default(j, "softDeletePolicy",
                json_pack("{s:s,s:s}", "retentionDurationSeconds", "604800", "effectiveTime", now));
    set_default(j, "iamConfiguration",
                json_pack("{s:{s:b},s:s}", "uniformBucketLevelAccess", "enabled", 0, "publicAccessPrevention",
                          "inherited"));
    char generation[24];
    snprintf(generation, sizeof generation, "%lld", (long long)us);
    json_object_set_new(j, "generation", json_string(generation));
}

static json_t *empty_policy(const char *bucket)
{
    char id[200];
    snprintf(id, sizeof id, "projects/_/buckets/%s", bucket);
    return json_pack("{s:s,s:s,s:i,s:s,s:[]}", "kind", "storage#policy", "resourceId", id, "version", 1,
                     "etag", "CAE=", "bindings");
}

bool bucket_make(struct world *w, const char *name)
{
    world_lock(w);
    bool there = bucket_find_locked(w, name);
    if (!there) {
        json_t *j = json_pack("{s:s,s:s}", "name", name, "location", "asia-northeast1");
        fill_bucket(w, j);
        bucket_put_locked(w, name, j, empty_policy(name));
    }
    world_unlock(w);
    return !there;
}

void bucket_insert(struct exchange *x)
{
    struct world *w = x->service->world;
    json_t *j = body_json(x);
    const char *name = json_string_value(json_object_get(j, "name"));
    world_lock(w);
    if (!name || !is_bucket_name(name))
        fail_json(x, 400, "invalid", "Invalid bucket name: '%s'", name ? name : "");
    else if (bucket_find_locked(w, name))
        fail_json(x, 409, "conflict",
                  "Your previous request to create the named bucket succeeded and you already own it.");
    else {
        fill_bucket(w, j);
        answer_json(x, 200,
                    bucket_resource(x, bucket_put_locked(w, name, json_incref(j), empty_policy(name))));
    }
    world_unlock(w);
    json_decref(j);
}

void bucket_list(struct exchange *x)
{
    struct world *w = x->service->world;
    size_t count;
    json_t *items = json_array();
    world_lock(w);
    struct bucket *const *all = buckets_locked(w, &count);
    const char *prefix = argument(x, "prefix");
    for (size_t i = 0; i < count; i++)
        if (*all[i]->name != '/' &&
            (!prefix || !strncmp(all[i]->name, prefix, strlen(prefix)))) /* artifact.c */
            json_array_append_new(items, bucket_resource(x, all[i]));
    world_unlock(w);
    answer_json(x, 200, json_pack("{s:s,s:o}", "kind", "storage#buckets", "items", items));
}

void bucket_get(struct exchange *x)
{
    struct world *w = x->service->world;
    world_lock(w);
    struct bucket *b = find_bucket_locked(x, x->captures[0]);
    if (b)
        answer_json(x, 200, bucket_resource(x, b));
    world_unlock(w);
}

/* RFC 7396: null takes a field away, objects are merged, the rest is replaced. */
static void merge(json_t *into, const json_t *patch)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)patch, key, value)
    {
        json_t *old = json_object_get(into, key);
        if (json_is_null(value))
            json_object_del(into, key);
        else if (json_is_object(value) && json_is_object(old))
            merge(old, value);
        else
            json_object_set_new(into, key, json_deep_copy(value));
    }
}

static int64_t bucket_metageneration(const struct bucket *b)
{
    const char *text = json_string_value(json_object_get(b->resource, "metageneration"));
    return text ? strtoll(text, NULL, 10) : 0;
}

static bool bucket_condition_holds(struct exchange *x, const struct bucket *b)
{
    struct preconditions p = preconditions_of(x, "if");
    struct object like = {.metageneration = bucket_metageneration(b)};
    p.has[0] = p.has[1] = false; /* a bucket is guarded by its metageneration */
    return preconditions_hold(x, &p, &like);
}

static bool moves_bucket(const struct bucket *b, const json_t *patch)
{
    const char *to = json_string_value(json_object_get(patch, "location"));
    const char *at = json_string_value(json_object_get(b->resource, "location"));
    return to && strcasecmp(to, at) != 0;
}

static void patch_bucket_locked(struct exchange *x, struct bucket *b, const json_t *patch)
{
    struct world *w = x->service->world;
    json_t *changed = json_deep_copy(b->resource);
    merge(changed, patch);
    json_object_set_new(changed, "metageneration",
                        json_string(arena_printf(x->arena, "%lld", (long long)bucket_metageneration(b) + 1)));
    json_object_set_new(changed, "updated", json_string(time_text(x->arena, world_generation_locked(w))));
    b = bucket_put_locked(w, x->captures[0], changed, json_incref(b->policy));
    answer_json(x, 200, bucket_resource(x, b));
}

void bucket_patch(struct exchange *x)
{
    struct world *w = x->service->world;
    json_t *patch = body_json(x);
    world_lock(w);
    struct bucket *b = find_bucket_locked(x, x->captures[0]);
    if (b && !patch)
        fail_json(x, 400, "parseError", "Parse Error");
    else if (b && moves_bucket(b, patch))
        fail_json(x, 400, "invalid", "The location of a bucket cannot be changed.");
    else if (b && bucket_condition_holds(x, b))
        patch_bucket_locked(x, b, patch);
    world_unlock(w);
    json_decref(patch);
}

void bucket_delete(struct exchange *x)
{
    struct world *w = x->service->world;
    world_lock(w);
    struct bucket *b = find_bucket_locked(x, x->captures[0]);
    if (b && b->count)
        fail_json(x, 409, "conflict", "The bucket you tried to delete is not empty.");
    else if (b && bucket_condition_holds(x, b)) {
        bucket_remove_locked(w, b);
        answer_empty(x, 204);
    }
    world_unlock(w);
}

void bucket_policy_get(struct exchange *x)
{
    struct world *w = x->service->world;
    world_lock(w);
    struct bucket *b = find_bucket_locked(x, x->captures[0]);
    if (b)
        answer_json(x, 200, json_deep_copy(b->policy));
    world_unlock(w);
}

static bool etag_is(const json_t *policy, const json_t *given)
{
    const json_t *etag = json_object_get(given, "etag");
    return !etag || json_equal(etag, json_object_get(policy, "etag"));
}

static void set_policy_locked(struct exchange *x, struct bucket *b, const json_t *given)
{
    json_t *policy = empty_policy(b->name);
    json_object_update(policy, (json_t *)(uintptr_t)given);
    char etag[BASE64_ROOM(8)];
    int64_t stamp = world_generation_locked(x->service->world);
    base64_encode(&stamp, sizeof stamp, etag);
    json_object_set_new(policy, "etag", json_string(etag));
    bucket_put_locked(x->service->world, x->captures[0], json_incref(b->resource), policy);
    answer_json(x, 200, json_deep_copy(policy));
}

void bucket_policy_set(struct exchange *x)
{
    struct world *w = x->service->world;
    json_t *given = body_json(x);
    world_lock(w);
    struct bucket *b = find_bucket_locked(x, x->captures[0]);
    if (b && (!given || !json_is_array(json_object_get(given, "bindings"))))
        fail_json(x, 400, "invalid", "Invalid policy.");
    else if (b && !etag_is(b->policy, given))
        fail_json(x, 412, "conditionNotMet", "The policy's etag has changed.");
    else if (b)
        set_policy_locked(x, b, given);
    world_unlock(w);
    json_decref(given);
}

void bucket_test_permissions(struct exchange *x)
{
    struct world *w = x->service->world;
    json_t *all = json_array();
    for (int i = 0; i < x->argument_count; i++)
        if (!strcmp(x->arguments[i].name, "permissions"))
            json_array_append_new(all, json_string(x->arguments[i].value));
    world_lock(w);
    bool there = find_bucket_locked(x, x->captures[0]);
    world_unlock(w);
    if (there)
        answer_json(x, 200,
                    json_pack("{s:s,s:O}", "kind", "storage#testIamPermissionsResponse", "permissions", all));
    json_decref(all);
}

/* ---- listing ---- */

struct page {
    const char *prefix, *delimiter;
    int64_t room;
    json_t *items, *prefixes;
    const char *last; /* name or prefix given last: the next page's token */
};

static const char *page_token(struct exchange *x)
{
    const char *token = argument(x, "pageToken");
    char name[1500];
    long n = token ? base64_decode(token, strlen(token), (unsigned char *)name, sizeof name - 1) : -1;
    return n < 0 ? NULL : arena_strndup(x->arena, name, (size_t)n);
}

/* The part of the name up to and with the first delimiter behind the prefix; NULL: it lies on this level. */
static const char *folder_of(struct exchange *x, const struct page *p, const char *name)
{
    const char *at = p->delimiter ? strstr(name + strlen(p->prefix), p->delimiter) : NULL;
    return at ? arena_strndup(x->arena, name, (size_t)(at - name) + strlen(p->delimiter)) : NULL;
}

/* False: the page is full, and this name is for the next one. */
static bool page_add(struct exchange *x, struct page *p, const struct object *o)
{
    const char *folder = folder_of(x, p, o->name);
    if (folder && p->last && !strcmp(folder, p->last))
        return true;
    if (p->room-- == 0)
        return false;
    if (folder)
        json_array_append_new(p->prefixes, json_string(folder));
    else
        json_array_append_new(p->items, object_resource(x, o));
    p->last = folder ? folder : arena_strndup(x->arena, o->name, strlen(o->name));
    return true;
}

static const char *next_token(struct exchange *x, const char *last)
{
    char *token = arena_alloc(x->arena, BASE64_ROOM(strlen(last)), 1);
    base64_encode(last, strlen(last), token);
    return token;
}

static bool fill_page_locked(struct exchange *x, struct page *p, const struct bucket *b)
{
    const char *after = page_token(x), *start = argument(x, "startOffset"), *end = argument(x, "endOffset");
    const char *from = after ? after : p->prefix;
    p->last = after;
    for (size_t i = object_index_locked(b, from); i < b->count; i++) {
        const char *name = b->objects[i]->name;
        if (strncmp(name, p->prefix, strlen(p->prefix)) != 0)
            break;
        if ((after && !strcmp(name, after)) || (start && strcmp(name, start) < 0) ||
            (end && strcmp(name, end) >= 0))
            continue;
        if (!page_add(x, p, b->objects[i]))
            return true;
    }
    return false;
}

void object_list(struct exchange *x)
{
    struct world *w = x->service->world;
    const char *prefix = argument(x, "prefix"), *delimiter = argument(x, "delimiter");
    struct page p = {.prefix = prefix ? prefix : "",
                     .delimiter = delimiter && *delimiter ? delimiter : NULL,
                     .items = json_array(),
                     .prefixes = json_array()};
    if (!argument_number(x, "maxResults", &p.room) || p.room < 1 || p.room > PAGE)
        p.room = PAGE;
    world_lock(w);
    const struct bucket *b = find_bucket_locked(x, x->captures[0]);
    bool more = b && fill_page_locked(x, &p, b);
    world_unlock(w);
    json_t *j = json_pack("{s:s}", "kind", "storage#objects");
    if (json_array_size(p.items))
        json_object_set(j, "items", p.items);
    if (json_array_size(p.prefixes))
        json_object_set(j, "prefixes", p.prefixes);
    if (more)
        json_object_set_new(j, "nextPageToken", json_string(next_token(x, p.last)));
    json_decref(p.items);
    json_decref(p.prefixes);
    answer_json(x, 200, j); /* nothing when there was no bucket: that is answered */
}

/* ---- objects ---- */

static void get_locked(struct exchange *x, bool media)
{
    struct world *w = x->service->world;
    strike_object_locked(x, object_find_locked(w, x->captures[0], x->captures[1]));
    struct object *o = find_object_locked(x, x->captures[0], x->captures[1]);
    struct preconditions p = preconditions_of(x, "if");
    if (!o || !preconditions_hold(x, &p, o))
        return;
    if (media) {
        answer_object_locked(x, o, false);
        return;
    }
    answer_header(x, "ETag", "%s", object_etag(x, o));
    answer_json(x, 200, object_resource(x, o));
}

void object_get(struct exchange *x)
{
    const char *alt = argument(x, "alt");
    world_lock(x->service->world);
    get_locked(x, alt && !strcmp(alt, "media"));
    world_unlock(x->service->world);
}

void object_media(struct exchange *x)
{
    object_get(x);
}

static void patch_object_locked(struct exchange *x, struct object *o, const json_t *patch)
{
    json_t *kept = object_fields(patch);
    merge(o->fields, kept);
    json_decref(kept);
    o->metageneration++;
    o->updated_us = world_generation_locked(x->service->world);
    object_changed_locked(x->service->world, o);
    answer_json(x, 200, object_resource(x, o));
}

void object_patch(struct exchange *x)
{
    struct world *w = x->service->world;
    json_t *patch = body_json(x);
    world_lock(w);
    struct object *o = find_object_locked(x, x->captures[0], x->captures[1]);
    struct preconditions p = preconditions_of(x, "if");
    if (o && !patch)
        fail_json(x, 400, "parseError", "Parse Error");
    else if (o && preconditions_hold(x, &p, o))
        patch_object_locked(x, o, patch);
    world_unlock(w);
    json_decref(patch);
}

void object_delete(struct exchange *x)
{
    struct world *w = x->service->world;
    world_lock(w);
    struct object *o = find_object_locked(x, x->captures[0], x->captures[1]);
    struct preconditions p = preconditions_of(x, "if");
    if (o && preconditions_hold(x, &p, o)) {
        object_remove_locked(w, bucket_find_locked(w, x->captures[0]), o);
        answer_empty(x, 204);
    }
    world_unlock(w);
}

/* ---- compose and rewrite: lists of stretches change hands, no byte moves ---- */

static int components_of(const struct object *o)
{
    return o->components ? o->components : 1;
}

static void append_locked(struct object *to, const struct object *from)
{
    to->crc32c = hash_crc32c_join(to->crc32c, from->crc32c, from->size);
    for (int i = 0; i < from->segment_count; i++)
        if (!object_add_segment_locked(to, from->segments[i].blob, from->segments[i].offset,
                                       from->segments[i].size))
            abort();
}

static int64_t number_text(const json_t *j)
{
    return json_is_integer(j)  ? json_integer_value(j)
           : json_is_string(j) ? strtoll(json_string_value(j), NULL, 10)
                               : 0;
}

static struct object *compose_source_locked(struct exchange *x, const json_t *source)
{
    const char *name = json_string_value(json_object_get(source, "name"));
    struct object *o = name ? object_find_locked(x->service->world, x->captures[0], name) : NULL;
    int64_t generation = number_text(json_object_get(source, "generation"));
    int64_t wanted =
        number_text(json_object_get(json_object_get(source, "objectPreconditions"), "ifGenerationMatch"));
    if (!o || (generation && generation != o->generation)) {
        fail_json(x, 404, "notFound", "No such object: %s/%s", x->captures[0], name ? name : "");
        return NULL;
    }
    if (wanted && wanted != o->generation) {
        fail_json(x, 412, "conditionNotMet",
                  "At least one of the pre-conditions you specified did not hold.");
        return NULL;
    }
    return o;
}

static void compose_locked(struct exchange *x, struct bucket *b, const json_t *body)
{
    struct world *w = x->service->world;
    const json_t *sources = json_object_get(body, "sourceObjects");
    struct preconditions p = preconditions_of(x, "if");
    size_t i, count = json_array_size(sources);
    json_t *source;
    if (!count || count > MAX_SOURCES) {
        fail_json(x, 400, "invalid",
                  count ? "The number of source components provided (%zu) exceeds the maximum (32)"
                        : "You must provide at least one source component (%zu)",
                  count);
        return;
    }
    if (!preconditions_hold(x, &p, object_find_locked(w, b->name, x->captures[1])))
        return;
    json_t *fields = object_fields(json_object_get(body, "destination"));
    struct object *made = object_new(b->name, x->captures[1], fields);
    json_decref(fields);
    json_array_foreach(sources, i, source)
    {
        struct object *o = compose_source_locked(x, source);
        if (!o) {
            object_drop_locked(w, made);
            return;
        }
        append_locked(made, o);
        made->components += components_of(o);
    }
    object_publish_locked(w, b, made);
    answer_json(x, 200, object_resource(x, made));
}

void object_compose(struct exchange *x)
{
    struct world *w = x->service->world;
    json_t *body = body_json(x);
    world_lock(w);
    struct bucket *b = find_bucket_locked(x, x->captures[0]);
    if (b && !body)
        fail_json(x, 400, "parseError", "Parse Error");
    else if (b)
        compose_locked(x, b, body);
    world_unlock(w);
    json_decref(body);
}

/* Large ones take several calls when the client limits one: what it must go on with is in the token. */
static bool rewrite_goes_on(struct exchange *x, const struct object *o)
{
    int64_t per_call, done = 0;
    const char *token = argument(x, "rewriteToken");
    if (token)
        done = strtoll(token, NULL, 10);
    if (!argument_number(x, "maxBytesRewrittenPerCall", &per_call) || done + per_call >= (int64_t)o->size)
        return false;
    const char *so_far = arena_printf(x->arena, "%lld", (long long)(done + per_call));
    answer_json(x, 200,
                json_pack("{s:s,s:s,s:s,s:b,s:s}", "kind", "storage#rewriteResponse", "totalBytesRewritten",
                          so_far, "objectSize", arena_printf(x->arena, "%llu", (unsigned long long)o->size),
                          "done", 0, "rewriteToken", so_far));
    return true;
}

static void rewrite_locked(struct exchange *x, struct object *from, struct bucket *b, const json_t *body)
{
    struct world *w = x->service->world;
    json_t *fields = json_object_size(body) ? object_fields(body) : json_deep_copy(from->fields);
    struct object *made = object_new(b->name, x->captures[3], fields);
    json_decref(fields);
    append_locked(made, from);
    made->crc32c = from->crc32c;
    made->has_md5 = from->has_md5;
    memcpy(made->md5, from->md5, sizeof made->md5);
    made->components = from->components;
    object_publish_locked(w, b, made);
    const char *size = arena_printf(x->arena, "%llu", (unsigned long long)made->size);
    answer_json(x, 200,
                json_pack("{s:s,s:s,s:s,s:b,s:o}", "kind", "storage#rewriteResponse", "totalBytesRewritten",
                          size, "objectSize", size, "done", 1, "resource", object_resource(x, made)));
}

/* captures: source bucket, source object, bucket, object */
void object_rewrite(struct exchange *x)
{
    struct world *w = x->service->world;
    json_t *body = body_json(x);
    int64_t generation;
    struct preconditions source = preconditions_of(x, "ifSource"), target = preconditions_of(x, "if");
    world_lock(w);
    struct object *from = find_object_locked(x, x->captures[0], x->captures[1]);
    struct bucket *b = from ? find_bucket_locked(x, x->captures[2]) : NULL;
    if (b && !body)
        fail_json(x, 400, "parseError", "Parse Error");
    else if (b && argument_number(x, "sourceGeneration", &generation) && generation != from->generation)
        fail_json(x, 404, "notFound", "No such object: %s/%s", x->captures[0], x->captures[1]);
    else if (b && preconditions_hold(x, &source, from) &&
             preconditions_hold(x, &target, object_find_locked(w, b->name, x->captures[3])) &&
             !rewrite_goes_on(x, from))
        rewrite_locked(x, from, b, body);
    world_unlock(w);
    json_decref(body);
}
