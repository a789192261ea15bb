#include "cloud/compute.h"

#include "cloud/call/rest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define ZONE "/compute/v1/projects/{}/zones/{}"
#define VM ZONE "/instances/{}"

static json_t *named(json_t *answer, const struct vm_name *n, struct err *e)
{
    if (!answer)
        err_wrap(e, "VM %s in %s", n->name, n->zone);
    return answer;
}

json_t *vm_get(struct cloud *c, const struct vm_name *n, struct err *e)
{
    struct rest q = {.api = "compute", .method = "GET", .path = VM, .names = {n->project, n->zone, n->name}};
    return named(rest_call(c, &q, e), n, e);
}

/* A random UUID (RFC 9562, version 4). */
static void make_uuid(char out[37])
{
    unsigned char b[16] = {0};
    if (getrandom(b, sizeof b, 0) != sizeof b)
        abort(); /* the kernel always has 16 bytes */
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *out++ = '-';
        out += sprintf(out, "%02x", b[i]);
    }
}

json_t *vm_insert(struct cloud *c, const struct vm_name *n, const json_t *body, struct err *e)
{
    char uuid[37];
    make_uuid(uuid);
    struct rest q = {.api = "compute",
                     .method = "POST",
                     .path = ZONE "/instances?requestId={}",
                     .names = {n->project, n->zone, uuid},
                     .body = body,
                     .flags = CLOUD_IDEMPOTENT};
    return named(rest_call(c, &q, e), n, e);
}

json_t *vm_delete(struct cloud *c, const struct vm_name *n, struct err *e)
{
    struct err problem = {0};
    struct rest q = {.api = "compute",
                     .method = "DELETE",
                     .path = VM,
                     .names = {n->project, n->zone, n->name},
                     .flags = CLOUD_IDEMPOTENT};
    json_t *operation = rest_call(c, &q, &problem);
    if (!operation && problem.kind == ERR_NOT_FOUND)
        return json_pack("{s:s}", "status", "DONE");
    if (!operation && e)
        *e = problem;
    return named(operation, n, e);
}

/* --- operations: another form than other APIs have --- */

static bool is_done(const json_t *operation)
{
    const char *status = json_string_value(json_object_get(operation, "status"));
    return status && strcmp(status, "DONE") == 0;
}

/* {"error":{"errors":[{"code":"QUOTA_EXCEEDED","message":"…"}]}} */
static bool check(const json_t *operation, struct err *e)
{
    const json_t *errors = json_object_get(json_object_get(operation, "error"), "errors");
    const char *code = NULL, *message = NULL;
    if (json_array_size(errors) == 0)
        return true;
    json_unpack(json_array_get(errors, 0), "{s?s, s?s}", "code", &code, "message", &message);
    json_t *status =
        json_pack("{s:i, s:s*, s:[{s:s*}]}", "code", 8, "message", message, "details", "reason", code);
    cloud_explain_status(status, e);
    json_decref(status);
    if (e && code && strstr(code, "QUOTA"))
        e->kind = ERR_LIMIT;
    if (e && code && strstr(code, "POOL_EXHAUSTED"))
        e->kind = ERR_BUSY;
    return false;
}

static json_t *ask(struct cloud *c, const struct vm_name *n, const json_t *operation, struct err *e)
{
    const char *name = json_string_value(json_object_get(operation, "name"));
    struct rest q = {.api = "compute",
                     .method = "GET",
                     .path = ZONE "/operations/{}",
                     .names = {n->project, n->zone, name}};
    return rest_call(c, &q, e);
}

bool vm_finish(struct cloud *c, const struct vm_name *n, json_t *begun, const struct wait *w, struct err *e)
{
    static const struct wait unwatched;
    struct pace pace = {.wait = w ? w : &unwatched};
    json_t *operation = begun;

    while (operation && !is_done(operation)) {
        bool waited = pace_wait(&pace, e);
        json_t *next = waited ? ask(c, n, operation, e) : NULL;
        json_decref(operation);
        operation = next;
    }
    bool ok = operation && (check(operation, e) || (named(NULL, n, e), false));
    json_decref(operation);
    return ok;
}

/* --- what one says --- */

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

/* The last part of an address: "zones/asia-northeast1-b". */
static const char *last_of(const json_t *object, const char *name)
{
    const char *text = text_of(object, name), *slash = strrchr(text, '/');
    return slash ? slash + 1 : text;
}

static double disks_of(const json_t *instance)
{
    const json_t *disks = json_object_get(instance, "disks");
    double gb = 0;
    for (size_t i = 0; i < json_array_size(disks); i++)
        gb += strtod(text_of(json_array_get(disks, i), "diskSizeGb"), NULL);
    return gb;
}

static bool has_address(const json_t *instance)
{
    const json_t *all = json_object_get(instance, "networkInterfaces");
    for (size_t i = 0; i < json_array_size(all); i++)
        if (json_array_size(json_object_get(json_array_get(all, i), "accessConfigs")))
            return true;
    return false;
}

void vm_read(const json_t *instance, struct vm_facts *out)
{
    const json_t *scheduling = json_object_get(instance, "scheduling");
    *out = (struct vm_facts){.name = text_of(instance, "name"),
                             .zone = last_of(instance, "zone"),
                             .machine = last_of(instance, "machineType"),
                             .status = text_of(instance, "status"),
                             .disk_gb = disks_of(instance),
                             .external = has_address(instance)};
    size_t n = strlen(out->zone); /* "-b" at its end */
    snprintf(out->region, sizeof out->region, "%.*s", (int)(n > 2 ? n - 2 : 0), out->zone);
    out->runs = strcmp(out->status, "TERMINATED") != 0 && strcmp(out->status, "STOPPED") != 0;
    out->spot = strcmp(text_of(scheduling, "provisioningModel"), "SPOT") == 0 ||
                json_is_true(json_object_get(scheduling, "preemptible"));
}

/* --- all zones --- */

json_t *region_zones(struct cloud *c, const char *project, const char *region, struct err *e)
{
    struct rest q = {.api = "compute",
                     .method = "GET",
                     .path = "/compute/v1/projects/{}/regions/{}",
                     .names = {project, region}};
    json_t *answer = rest_call(c, &q, e), *urls = json_object_get(answer, "zones"), *names = json_array();
    for (size_t i = 0; i < json_array_size(urls); i++) {
        const char *url = json_string_value(json_array_get(urls, i)), *slash = url ? strrchr(url, '/') : NULL;
        if (slash && slash[1])
            json_array_append_new(names, json_string(slash + 1));
    }
    bool some = json_array_size(names) > 0;
    if (!some) {
        json_decref(names);
        names = NULL;
    }
    if (answer && !some)
        err_set(e, ERR_CORRUPT, "an answer that names no zones");
    json_decref(answer);
    if (!some)
        err_wrap(e, "region %s", region);
    return names;
}

struct finding {
    vm_fn fn;
    void *arg;
};

/* {"items":{"zones/asia-northeast1-b":{"instances":[…]},"zones/…":{"warning":{…}}}} */
static bool take_page(void *arg, const json_t *page, struct err *e)
{
    const struct finding *f = arg;
    const char *scope;
    json_t *in_scope, *items = json_object_get(page, "items");
    json_object_foreach(items, scope, in_scope)
    {
        const json_t *list = json_object_get(in_scope, "instances");
        const char *zone = strrchr(scope, '/');
        for (size_t i = 0; i < json_array_size(list); i++)
            if (!f->fn(f->arg, zone ? zone + 1 : scope, json_array_get(list, i), e))
                return false;
    }
    return true;
}

bool vm_find(struct cloud *c, const char *project, const char *label, vm_fn fn, void *arg, struct err *e)
{
    char filter[200];
    snprintf(filter, sizeof filter, "labels.%.180s", label);
    struct rest q = {.api = "compute",
                     .method = "GET",
                     .path = "/compute/v1/projects/{}/aggregated/instances?filter={}",
                     .names = {project, filter}};
    return rest_pages(c, &q, take_page, &(struct finding){fn, arg}, e) || err_wrap(e, "VMs of %s", project);
}

/* --- what goes on in it --- */

static char *keep(const json_t *text, struct arena *a, struct err *e)
{
    char *kept = arena_strndup(a, json_string_value(text), json_string_length(text));
    if (!kept)
        err_set(e, ERR_MEMORY, "no memory for a VM's words");
    return kept;
}

char *vm_serial(struct cloud *c, const struct vm_name *n, uint64_t *start, struct arena *a, struct err *e)
{
    char at[24], *contents = NULL;
    snprintf(at, sizeof at, "%llu", (unsigned long long)*start);
    struct rest q = {.api = "compute",
                     .method = "GET",
                     .path = VM "/serialPort?port=1&start={}",
                     .names = {n->project, n->zone, n->name, at}};
    json_t *answer = named(rest_call(c, &q, e), n, e), *text = json_object_get(answer, "contents");
    const char *next = json_string_value(json_object_get(answer, "next"));
    if (answer && json_is_string(text) && next) {
        contents = keep(text, a, e);
        *start = strtoull(next, NULL, 10);
    } else if (answer) {
        err_set(e, ERR_CORRUPT, "an answer without the serial port's contents");
    }
    json_decref(answer);
    return contents;
}

char *vm_guest_attribute(struct cloud *c, const struct vm_name *n, const char *space, const char *key,
                         struct arena *a, struct err *e)
{
    char path[200], *value = NULL;
    snprintf(path, sizeof path, "%.90s/%.90s", space, key);
    struct rest q = {.api = "compute",
                     .method = "GET",
                     .path = VM "/getGuestAttributes?queryPath={}",
                     .names = {n->project, n->zone, n->name, path}};
    json_t *answer = named(rest_call(c, &q, e), n, e);
    const json_t *items = json_object_get(json_object_get(answer, "queryValue"), "items");
    const json_t *text = json_object_get(json_array_get(items, 0), "value");
    if (json_is_string(text))
        value = keep(text, a, e);
    else if (answer)
        err_set(e, ERR_NOT_FOUND, "VM %s has not set %s yet", n->name, path);
    json_decref(answer);
    return value;
}
