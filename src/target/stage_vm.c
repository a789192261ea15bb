#include "target/stage_vm.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPERATION_SECONDS = 300, SERIAL_BYTES = 8 << 20 };

#define SYSTEM "projects/cos-cloud/global/images/family/cos-stable"
#define SCOPE "https://www.googleapis.com/auth/cloud-platform" /* what it may do is its account's roles */
#define LABEL "managed-by=ferry"

extern const char stage_vm_script[]; /* stage_vm.sh */

/* --- what is asked for --- */

/* A word a line. */
static json_t *words(const char *const *args)
{
    json_t *text = json_string("");
    for (; *args; args++) {
        json_t *longer = json_sprintf("%s%s\n", json_string_value(text), *args);
        json_decref(text);
        text = longer;
    }
    return text;
}

static json_t *item(const char *key, json_t *value)
{
    return json_pack("{s:s, s:o}", "key", key, "value", value);
}

static json_t *metadata(const struct stage_vm *v)
{
    json_t *items = json_array();
    json_array_append_new(items, item("startup-script", json_string(stage_vm_script)));
    json_array_append_new(items, item("enable-guest-attributes", json_string("TRUE")));
    json_array_append_new(items, item("serial-port-logging-enable", json_string("TRUE")));
    json_array_append_new(items, item("ferry-image", json_string(v->image)));
    json_array_append_new(items, item("ferry-words", words(v->args)));
    if (v->token_secret) /* its name: what is in it is asked for there */
        json_array_append_new(items, item("ferry-token-secret", json_string(v->token_secret)));
    return json_pack("{s:o}", "items", items);
}

static json_t *disk(const char *zone)
{
    return json_pack("{s:b, s:b, s:s, s:s, s:{s:s, s:o, s:s}}", "boot", 1, "autoDelete", 1, "type",
                     "PERSISTENT", "mode", "READ_WRITE", "initializeParams", "diskSizeGb", "10", "diskType",
                     json_sprintf("zones/%s/diskTypes/pd-balanced", zone), "sourceImage", SYSTEM);
}

/* An address of its own, since the hub is outside. */
static json_t *interface(void)
{
    return json_pack("{s:s, s:[{s:s, s:s, s:s}]}", "network", "global/networks/default", "accessConfigs",
                     "type", "ONE_TO_ONE_NAT", "name", "external-nat", "networkTier", "PREMIUM");
}

static json_t *scheduling(const struct stage_vm *v)
{
    return json_pack("{s:s, s:b, s:{s:o}, s:s}", "provisioningModel", "STANDARD", "automaticRestart", 0,
                     "maxRunDuration", "seconds", json_sprintf("%d", v->seconds), "instanceTerminationAction",
                     "DELETE");
}

json_t *stage_vm_body(const struct stage_vm *v, const char *zone)
{
    return json_pack("{s:s, s:o, s:{s:s}, s:[o], s:[o], s:[{s:s, s:[s]}], s:o, s:o}", "name", v->name,
                     "machineType", json_sprintf("zones/%s/machineTypes/" STAGE_VM_MACHINE, zone), "labels",
                     "managed-by", "ferry", "disks", disk(zone), "networkInterfaces", interface(),
                     "serviceAccounts", "email", v->service_account ? v->service_account : "default",
                     "scopes", SCOPE, "scheduling", scheduling(v), "metadata", metadata(v));
}

char *stage_vm_zone(struct cloud *c, const struct stage_vm *v, struct arena *a, struct err *e)
{
    json_t *zones = region_zones(c, v->project, v->region, e);
    const char *first = json_string_value(json_array_get(zones, 0));
    char *zone = first ? arena_strndup(a, first, strlen(first)) : NULL;
    if (zones && !zone)
        err_set(e, ERR_MEMORY, "no memory for a zone");
    json_decref(zones);
    return zone;
}

/* --- its serial port --- */

static uint64_t number_of(const json_t *object, const char *name)
{
    json_int_t n = json_integer_value(json_object_get(object, name));
    return n > 0 ? (uint64_t)n : 0;
}

/* What a console puts in front of a line does not matter. */
static bool take_line(const struct stage_vm_port *port, struct stage_vm_progress *out)
{
    const char *brace = memchr(port->line, '{', port->size);
    size_t before = brace ? (size_t)(brace - port->line) : port->size;
    json_t *told = brace ? json_loadb(brace, port->size - before, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
    bool tells = number_of(told, "bytes_total") > 0;
    if (tells) {
        out->bytes_done = number_of(told, "bytes_done");
        out->bytes_total = number_of(told, "bytes_total");
        out->bytes_per_second = number_of(told, "bytes_per_second");
    }
    json_decref(told);
    return tells;
}

bool stage_vm_hear(struct stage_vm_port *port, const char *bytes, size_t size, struct stage_vm_progress *out)
{
    bool told = false;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == '\n') {
            told = (port->size < sizeof port->line && take_line(port, out)) || told;
            port->size = 0;
        } else if (port->size < sizeof port->line) {
            port->line[port->size++] = bytes[i];
        }
    }
    return told;
}

/* --- its life --- */

struct life {
    struct cloud *cloud;
    const struct stage_vm *vm;
    struct vm_name where; /* zone NULL: there is none */
    char zone[64];
    double begun_ms;
    uint64_t heard; /* bytes of its serial port */
    struct stage_vm_port port;
    struct stage_vm_progress progress;
};

static void stand_in(struct life *l, const char *zone)
{
    snprintf(l->zone, sizeof l->zone, "%s", zone);
    l->where = (struct vm_name){l->vm->project, l->zone, l->vm->name};
}

/* Not stopped: what costs must be gone. */
static bool delete (struct life *l, struct err *e)
{
    const struct wait w = {.seconds = OPERATION_SECONDS};
    bool ok = vm_finish(l->cloud, &l->where, vm_delete(l->cloud, &l->where, e), &w, e);
    if (ok)
        l->where.zone = NULL;
    return ok;
}

static const char *metadata_of(const json_t *instance, const char *key)
{
    const json_t *items = json_object_get(json_object_get(instance, "metadata"), "items");
    for (size_t i = 0; i < json_array_size(items); i++) {
        const char *name = NULL, *value = NULL;
        json_unpack(json_array_get(items, i), "{s:s, s:s}", "key", &name, "value", &value);
        if (name && value && strcmp(name, key) == 0)
            return value;
    }
    return "";
}

static bool is_at_work(const json_t *instance)
{
    static const char *const states[] = {"PROVISIONING", "STAGING", "RUNNING"};
    const char *status = json_string_value(json_object_get(instance, "status"));
    for (size_t i = 0; status && i < sizeof states / sizeof *states; i++)
        if (strcmp(status, states[i]) == 0)
            return true;
    return false;
}

static bool does_the_same(const struct life *l, const json_t *instance)
{
    json_t *mine = words(l->vm->args);
    bool same = mine && strcmp(metadata_of(instance, "ferry-words"), json_string_value(mine)) == 0 &&
                strcmp(metadata_of(instance, "ferry-image"), l->vm->image) == 0;
    json_decref(mine);
    return same && is_at_work(instance);
}

/* Of an earlier command: followed when it is at this very work, else replaced. */
static bool take_found(void *arg, const char *zone, const json_t *instance, struct err *e)
{
    struct life *l = arg;
    const char *name = json_string_value(json_object_get(instance, "name"));
    if (!name || strcmp(name, l->vm->name) != 0)
        return true;
    stand_in(l, zone);
    if (!does_the_same(l, instance))
        return delete (l, e);
    if (l->vm->on_found)
        l->vm->on_found(l->vm->arg, l->zone);
    return true;
}

/* Another command makes it right now. */
static bool say_it_is_there(const struct vm_name *n, struct err *e)
{
    return err_set(e, ERR_IO,
                   "VM %s in %s has just been made by another command; the same command follows it", n->name,
                   n->zone);
}

static bool make_in(struct life *l, const char *zone, struct err *e)
{
    const struct wait w = {.seconds = OPERATION_SECONDS, .stop = l->vm->stop};
    struct vm_name n = {l->vm->project, zone, l->vm->name};
    json_t *body = stage_vm_body(l->vm, zone);
    json_t *begun = body ? vm_insert(l->cloud, &n, body, e) : NULL;
    json_decref(body);
    if (!body)
        return err_set(e, ERR_MEMORY, "no memory for a VM");
    if (!begun)
        return e->kind == ERR_BUSY ? say_it_is_there(&n, e) : false;
    stand_in(l, zone);
    return vm_finish(l->cloud, &l->where, begun, &w, e);
}

/* In the first zone that has such a machine free. */
static bool make(struct life *l, struct err *e)
{
    json_t *zones = region_zones(l->cloud, l->vm->project, l->vm->region, e);
    size_t count = json_array_size(zones);
    bool made = false, go_on = zones != NULL;
    for (size_t i = 0; go_on && i < count; i++) {
        made = make_in(l, json_string_value(json_array_get(zones, i)), e);
        go_on = !made && e->kind == ERR_BUSY;
        if (go_on)
            l->where.zone = NULL;
    }
    json_decref(zones);
    if (go_on)
        err_set(e, ERR_LIMIT,
                "none of the %zu zones of %s has an " STAGE_VM_MACHINE
                " free; try again later, or --via job, which needs none",
                count, l->vm->region);
    return made;
}

/* --- following --- */

static bool hear(struct life *l, struct err *e)
{
    struct arena *a = arena_new(SERIAL_BYTES);
    char *text = a ? vm_serial(l->cloud, &l->where, &l->heard, a, e) : NULL;
    if (!a)
        err_set(e, ERR_MEMORY, "no memory for a VM's words");
    if (text)
        stage_vm_hear(&l->port, text, strlen(text), &l->progress);
    arena_free(a);
    l->progress.seconds = (clock_ms() - l->begun_ms) * 1e-3;
    if (text && l->vm->on_progress)
        l->vm->on_progress(l->vm->arg, &l->progress);
    return text != NULL;
}

/* *over: it has said how it ended; false with *e set: badly, or it could not be asked. */
static bool ask_result(struct life *l, bool *over, struct err *e)
{
    struct arena *a = arena_new(SERIAL_BYTES);
    struct err problem = {0};
    char *result = a ? vm_guest_attribute(l->cloud, &l->where, "ferry", "result", a, &problem) : NULL;
    bool well = result ? strcmp(result, "ok") == 0 : problem.kind == ERR_NOT_FOUND;
    *over = result != NULL;
    if (result && !well)
        err_set(e, ERR_IO, "VM %s in %s: %s; what was copied stays, the same command goes on", l->where.name,
                l->zone, result);
    else if (!well)
        *e = problem;
    arena_free(a);
    return well;
}

/* One that stands still is as good as gone. */
static bool is_there(struct life *l, bool *there, struct err *e)
{
    struct err problem = {0};
    json_t *now = vm_get(l->cloud, &l->where, &problem);
    bool asked = now || problem.kind == ERR_NOT_FOUND;
    *there = now && is_at_work(now);
    if (!now)
        l->where.zone = asked ? NULL : l->where.zone;
    if (!asked)
        *e = problem;
    json_decref(now);
    return asked;
}

/* It may go at any moment: what is not found is looked for once more. */
static bool look(struct life *l, bool *over, enum stage_vm_end *end, struct err *e)
{
    bool there, said = false;
    struct err problem = {0};
    *end = STAGE_VM_GONE;
    if (!is_there(l, &there, e))
        return false;
    *over = !there;
    if (!there)
        return true;
    bool well = hear(l, &problem) && ask_result(l, &said, &problem);
    *over = said;
    *end = STAGE_VM_DONE;
    if (!well && (said || problem.kind != ERR_NOT_FOUND))
        *e = problem;
    return well || (!said && problem.kind == ERR_NOT_FOUND);
}

/* False with *e set; *over: by what the VM says, else it could not be followed. */
static bool follow(struct life *l, bool *over, enum stage_vm_end *end, struct err *e)
{
    const struct wait w = {.seconds = l->vm->seconds + OPERATION_SECONDS, .stop = l->vm->stop};
    struct pace pace = {.wait = &w};
    l->begun_ms = clock_ms();
    for (*over = false; !*over;)
        if (!pace_wait(&pace, e) || !look(l, over, end, e))
            return false;
    return true;
}

/* Whatever it did, it is to be gone. */
static bool leave(struct life *l, bool ok, struct err *e)
{
    struct err problem = {0}, what = *e;
    bool stopped = !ok && what.kind == ERR_CANCELLED;
    if (l->where.zone && !delete (l, &problem))
        return err_set(e, ok ? problem.kind : what.kind,
                       "%.500s%s%.300s; it deletes itself when it has ended, at the latest after %d min",
                       ok ? "" : what.text, ok ? "all is copied, but: " : "; and: ", problem.text,
                       l->vm->seconds / 60);
    if (stopped)
        err_set(e, what.kind,
                "interrupted; the VM is deleted, what was copied stays: the same command goes on");
    return ok;
}

bool stage_vm_run(struct cloud *c, const struct stage_vm *v, enum stage_vm_end *end, struct err *e)
{
    struct life l = {.cloud = c, .vm = v};
    bool over = false;
    if (!vm_find(c, v->project, LABEL, take_found, &l, e))
        return false;
    if (!l.where.zone && !make(&l, e))
        return leave(&l, false, e);
    bool ok = follow(&l, &over, end, e);
    if (ok || over || e->kind == ERR_CANCELLED)
        return leave(&l, ok, e);
    return err_wrap(e, "VM %s in %s goes on by itself and then deletes itself, the same command follows it",
                    v->name, l.zone);
}
