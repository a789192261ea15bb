#include "vms.h"

#include "endpoints.h"
#include "google.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_VMS = 8, MAX_ENDED = 100, SERIAL_BYTES = 1 << 20 };

struct vm {
    char *zone, *name; /* NULL: free */
    json_t *body, *attributes;
    int64_t created_us;
    char folder[300];
    pid_t group; /* of the script; 0: it does not run yet */
};

/* What an operation does when its time has come, and what is told of it. */
struct pending {
    char name[40];
    int64_t end_us;
    json_t *told, *error;
    struct vm *starts; /* NULL: nothing */
};

struct vms {
    pthread_mutex_t mutex;
    struct vm items[MAX_VMS];
    struct pending pending[MAX_ENDED];
    int operations, made;
};

struct vms *vms_new(void)
{
    struct vms *v = calloc(1, sizeof *v);
    if (v)
        pthread_mutex_init(&v->mutex, NULL);
    return v;
}

/* --- the machine --- */

static const char *metadata_of(const struct vm *vm, const char *key)
{
    const json_t *items = json_object_get(json_object_get(vm->body, "metadata"), "items");
    for (size_t i = 0; i < json_array_size(items); i++)
        if (!strcmp(text_at(json_array_get(items, i), "key"), key))
            return text_at(json_array_get(items, i), "value");
    return NULL;
}

/* The script as a file, and the serial port. */
static bool make_files(const struct vm *vm, char script[400], char serial[400])
{
    const char *text = metadata_of(vm, "startup-script");
    snprintf(script, 400, "%s/startup-script", vm->folder);
    snprintf(serial, 400, "%s/serial", vm->folder);
    mkdir(vm->folder, 0700);
    FILE *port = fopen(serial, "w"), *f = text ? fopen(script, "w") : NULL;
    bool ok = port && f && fputs("SeaBIOS (version 1.8.2)\nWelcome to Container-Optimized OS\n", port) >= 0 &&
              fputs(text, f) >= 0;
    ok = (!port || fclose(port) == 0) && ok;
    return (!f || fclose(f) == 0) && ok;
}

/* A machine of its own: nothing of this process's environment. */
static void boot(struct vm *vm, const struct service *s, const char *origin)
{
    char script[400], serial[400], variables[6][400];
    if (!make_files(vm, script, serial))
        return;
    snprintf(variables[0], sizeof *variables, "PATH=%s:/usr/bin:/bin", EMULATOR_VM);
    snprintf(variables[1], sizeof *variables, "VM_ORIGIN=%s", origin);
    snprintf(variables[2], sizeof *variables, "VM_NAME=%s", vm->name);
    snprintf(variables[3], sizeof *variables, "VM_FOLDER=%s", vm->folder);
    snprintf(variables[4], sizeof *variables, "VM_PROGRAM=%s",
             s->settings.program ? s->settings.program : "/bin/false");
    snprintf(variables[5], sizeof *variables, "TMPDIR=%s", vm->folder);
    char *words[] = {(char[]){"sh"}, script, serial, NULL};
    char *all[] = {variables[0], variables[1], variables[2], variables[3], variables[4], variables[5], NULL};
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    posix_spawnattr_setpgroup(&attributes, 0);
    if (posix_spawn(&vm->group, "/bin/sh", NULL, &attributes, words, all) != 0)
        vm->group = 0;
    posix_spawnattr_destroy(&attributes);
}

static void clear_vm(struct vm *vm)
{
    if (vm->group) {
        kill(-vm->group, SIGKILL);
        waitpid(vm->group, NULL, 0);
    }
    json_decref(vm->body);
    json_decref(vm->attributes);
    free(vm->zone);
    free(vm->name);
    *vm = (struct vm){0};
}

void vms_free(struct vms *v)
{
    for (int i = 0; v && i < MAX_VMS; i++)
        clear_vm(&v->items[i]);
    for (int i = 0; v && i < MAX_ENDED; i++) {
        json_decref(v->pending[i].told);
        json_decref(v->pending[i].error);
    }
    free(v);
}

/* --- errors, as this API has them --- */

void begin_compute(struct exchange *x)
{
    (void)google_may(x, x->captures[0], NULL);
}

/* zone NULL: of any */
static struct vm *find_locked(struct vms *v, const char *zone, const char *name)
{
    for (int i = 0; i < MAX_VMS; i++)
        if (v->items[i].name && !strcmp(v->items[i].name, name) && (!zone || !strcmp(v->items[i].zone, zone)))
            return &v->items[i];
    return NULL;
}

static struct vm *asked_locked(struct exchange *x)
{
    struct vm *vm = find_locked(x->service->vms, x->captures[1], x->captures[2]);
    if (!vm)
        fail_json(x, 404, "notFound", "The resource 'projects/%s/zones/%s/instances/%s' was not found",
                  x->captures[0], x->captures[1], x->captures[2]);
    return vm;
}

/* --- regions and zones --- */

static const struct {
    const char *region, *letters;
} regions[] = {
    {"asia-northeast1", "abc"},
    {"us-central1", "abcf"},
    {"us-east1", "bcd"},
};

static char *zone_url(struct exchange *x, const char *zone)
{
    return arena_printf(x->arena, "https://www.googleapis.com/compute/v1/projects/%s/zones/%s",
                        x->captures[0], zone);
}

void compute_region(struct exchange *x)
{
    for (size_t i = 0; i < sizeof regions / sizeof *regions; i++) {
        if (strcmp(regions[i].region, x->captures[1]) != 0)
            continue;
        json_t *zones = json_array();
        for (const char *c = regions[i].letters; *c; c++)
            json_array_append_new(
                zones, json_string(zone_url(x, arena_printf(x->arena, "%s-%c", regions[i].region, *c))));
        answer_json(x, 200,
                    json_pack("{s:s,s:s,s:s,s:o}", "kind", "compute#region", "name", x->captures[1], "status",
                              "UP", "zones", zones));
    }
    fail_json(x, 404, "notFound", "The resource 'projects/%s/regions/%s' was not found", x->captures[0],
              x->captures[1]);
}

static bool is_zone(const char *zone)
{
    for (size_t i = 0; i < sizeof regions / sizeof *regions; i++) {
        size_t n = strlen(regions[i].region);
        if (!strncmp(zone, regions[i].region, n) && zone[n] == '-' && zone[n + 1] &&
            strchr(regions[i].letters, zone[n + 1]) && !zone[n + 2])
            return true;
    }
    return false;
}

void compute_zone(struct exchange *x)
{
    if (is_zone(x->captures[1]))
        answer_json(
            x, 200,
            json_pack("{s:s,s:s,s:s}", "kind", "compute#zone", "name", x->captures[1], "status", "UP"));
    else
        fail_json(x, 404, "notFound", "The resource 'projects/%s/zones/%s' was not found", x->captures[0],
                  x->captures[1]);
}

/* --- operations --- */

static json_t *operation_told(struct exchange *x, const struct pending *p)
{
    bool over = p->end_us <= service_now_us(x->service);
    json_t *told = json_deep_copy(p->told);
    json_object_set_new(told, "status", json_string(over ? "DONE" : "RUNNING"));
    json_object_set_new(told, "progress", json_integer(over ? 100 : 0));
    if (over && p->error)
        json_object_set(told, "error", p->error);
    return told;
}

static struct pending *begin_operation_locked(struct exchange *x, const char *type, const json_t *error)
{
    struct vms *v = x->service->vms;
    struct pending *p = &v->pending[v->operations % MAX_ENDED];
    json_decref(p->told);
    json_decref(p->error);
    *p = (struct pending){.end_us = operation_end_us(x), .error = json_incref((json_t *)(uintptr_t)error)};
    snprintf(p->name, sizeof p->name, "operation-%d", ++v->operations);
    p->told = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "kind", "compute#operation", "name", p->name,
                        "operationType", type, "zone", zone_url(x, x->captures[1]), "selfLink",
                        arena_printf(x->arena, "%s/operations/%s", zone_url(x, x->captures[1]), p->name),
                        "targetLink",
                        arena_printf(x->arena, "%s/instances/%s", zone_url(x, x->captures[1]),
                                     x->captures[2] ? x->captures[2] : text_at(x->json, "name")));
    return p;
}

/* Whoever asks moves time on. */
void vm_operation(struct exchange *x)
{
    struct vms *v = x->service->vms;
    pthread_mutex_lock(&v->mutex);
    for (int i = 0; i < MAX_ENDED; i++)
        if (!strcmp(v->pending[i].name, x->captures[2]))
            answer_json(x, 200, operation_told(x, &v->pending[i]));
    pthread_mutex_unlock(&v->mutex);
    fail_json(x, 404, "notFound", "The resource 'projects/%s/zones/%s/operations/%s' was not found",
              x->captures[0], x->captures[1], x->captures[2]);
}

/* --- instances --- */

/* What the description does not say and the service refuses all the same; NULL: nothing. */
static const char *problem_of(struct exchange *x, const json_t *body)
{
    const json_t *scheduling = json_object_get(body, "scheduling");
    const json_t *disk = json_array_get(json_object_get(body, "disks"), 0);
    const char *machine = text_at(body, "machineType");
    if (!strstr(machine, arena_printf(x->arena, "zones/%s/machineTypes/", x->captures[1])))
        return arena_printf(x->arena, "Invalid value for field 'resource.machineType': '%s'.", machine);
    if (!*text_at(json_object_get(disk, "initializeParams"), "sourceImage"))
        return "Invalid value for field 'resource.disks[0]': ''. Boot disk must have a source specified";
    if (!json_array_size(json_object_get(body, "networkInterfaces")))
        return "Invalid value for field 'resource.networkInterfaces': ''. At least one network interface is "
               "required.";
    if (json_object_get(scheduling, "maxRunDuration") && !*text_at(scheduling, "instanceTerminationAction"))
        return "Invalid value for field 'resource.scheduling': ''. You must specify an instance termination "
               "action.";
    return NULL;
}

static struct vm *make_locked(struct exchange *x, const char *name)
{
    struct vms *v = x->service->vms;
    struct vm *vm = NULL;
    for (int i = 0; i < MAX_VMS && !vm; i++)
        vm = v->items[i].name ? NULL : &v->items[i];
    if (vm) {
        *vm = (struct vm){.zone = strdup(x->captures[1]),
                          .name = strdup(name),
                          .body = json_deep_copy(x->json),
                          .attributes = json_object(),
                          .created_us = service_now_us(x->service)};
        snprintf(vm->folder, sizeof vm->folder, "%s/vm-%d", x->service->settings.data, v->made++);
        boot(vm, x->service, x->origin);
    }
    return vm;
}

void vm_insert(struct exchange *x)
{
    struct vms *v = x->service->vms;
    const char *name = text_at(x->json, "name"), *problem = problem_of(x, x->json);
    if (!is_zone(x->captures[1])) {
        compute_zone(x);
        return;
    }
    pthread_mutex_lock(&v->mutex);
    if (problem)
        fail_json(x, 400, "invalid", "%s", problem);
    else if (find_locked(v, x->captures[1], name))
        fail_json(x, 409, "alreadyExists", "The resource 'projects/%s/zones/%s/instances/%s' already exists",
                  x->captures[0], x->captures[1], name);
    else if (!operation_error(x) && !make_locked(x, name))
        fail_json(x, 503, "backendError", "The emulator has room for no more instances");
    else
        answer_json(x, 200, operation_told(x, begin_operation_locked(x, "insert", operation_error(x))));
    pthread_mutex_unlock(&v->mutex);
}

static json_t *instance_told(struct exchange *x, const struct vm *vm)
{
    json_t *told = json_deep_copy(vm->body);
    char *zone = zone_url(x, vm->zone);
    json_object_set_new(told, "kind", json_string("compute#instance"));
    json_object_set_new(told, "id", json_string("9"));
    json_object_set_new(told, "status", json_string("RUNNING"));
    json_object_set_new(told, "zone", json_string(zone));
    json_object_set_new(told, "selfLink",
                        json_string(arena_printf(x->arena, "%s/instances/%s", zone, vm->name)));
    json_object_set_new(told, "creationTimestamp", json_string(time_text(x->arena, vm->created_us)));
    return told;
}

void vm_read(struct exchange *x)
{
    struct vms *v = x->service->vms;
    pthread_mutex_lock(&v->mutex);
    struct vm *vm = asked_locked(x);
    if (vm)
        answer_json(x, 200, instance_told(x, vm));
    pthread_mutex_unlock(&v->mutex);
}

void vm_remove(struct exchange *x)
{
    struct vms *v = x->service->vms;
    pthread_mutex_lock(&v->mutex);
    struct vm *vm = asked_locked(x);
    if (vm && !operation_error(x))
        clear_vm(vm);
    if (vm)
        answer_json(x, 200, operation_told(x, begin_operation_locked(x, "delete", operation_error(x))));
    pthread_mutex_unlock(&v->mutex);
}

/* "labels.managed-by=ferry", the one form that is asked for here. */
void vm_list(struct exchange *x)
{
    struct vms *v = x->service->vms;
    const char *filter = argument(x, "filter");
    json_t *items = json_object();
    pthread_mutex_lock(&v->mutex);
    for (int i = 0; i < MAX_VMS; i++) {
        const struct vm *vm = &v->items[i];
        if (!vm->name || (filter && (strncmp(filter, "labels.", 7) != 0 ||
                                     !labels_match(json_object_get(vm->body, "labels"), filter + 7))))
            continue;
        char *scope = arena_printf(x->arena, "zones/%s", vm->zone);
        if (!json_object_get(items, scope))
            json_object_set_new(items, scope, json_pack("{s:[]}", "instances"));
        json_array_append_new(json_object_get(json_object_get(items, scope), "instances"),
                              instance_told(x, vm));
    }
    pthread_mutex_unlock(&v->mutex);
    answer_json(x, 200, json_pack("{s:s,s:o}", "kind", "compute#instanceAggregatedList", "items", items));
}

/* --- what it tells --- */

void vm_serial(struct exchange *x)
{
    struct vms *v = x->service->vms;
    char path[400];
    int64_t start = 0;
    (void)argument_number(x, "start", &start);
    pthread_mutex_lock(&v->mutex);
    struct vm *vm = asked_locked(x);
    snprintf(path, sizeof path, "%s/serial", vm ? vm->folder : "");
    pthread_mutex_unlock(&v->mutex);
    if (!vm)
        return;
    char *bytes = arena_alloc(x->arena, SERIAL_BYTES, 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? pread(fd, bytes, SERIAL_BYTES, start) : 0;
    if (fd >= 0)
        close(fd);
    json_t *told = json_pack("{s:s,s:o}", "kind", "compute#serialPortOutput", "contents",
                             json_stringn_nocheck(bytes, n > 0 ? (size_t)n : 0));
    set_text(told, "start", "%lld", (long long)start);
    set_text(told, "next", "%lld", (long long)(start + (n > 0 ? n : 0)));
    answer_json(x, 200, told);
}

void vm_attributes(struct exchange *x)
{
    struct vms *v = x->service->vms;
    const char *path = argument(x, "queryPath"), *slash = path ? strchr(path, '/') : NULL;
    pthread_mutex_lock(&v->mutex);
    struct vm *vm = asked_locked(x);
    const json_t *value = vm && path ? json_object_get(vm->attributes, path) : NULL;
    if (value && slash)
        answer_json(x, 200,
                    json_pack("{s:s,s:s,s:{s:[{s:s#,s:s,s:O}]}}", "kind", "compute#guestAttributes",
                              "queryPath", path, "queryValue", "items", "namespace", path,
                              (int)(slash - path), "key", slash + 1, "value", value));
    else if (vm)
        fail_json(x, 404, "notFound",
                  "The resource 'projects/%s/zones/%s/instances/%s/guestAttributes/%s' was not found",
                  x->captures[0], x->captures[1], x->captures[2], path ? path : "");
    pthread_mutex_unlock(&v->mutex);
}

/* --- its metadata server --- */

static bool has_flavor(struct exchange *x)
{
    const char *flavor = request_header(x, "Metadata-Flavor");
    answer_header(x, "Metadata-Flavor", "Google");
    if (flavor && !strcmp(flavor, "Google"))
        return true;
    answer_text(x, 403, "text/html", "Missing Metadata-Flavor:Google header.");
    return false;
}

/* Of the instance itself; NULL: nothing, or what every machine has. */
static const char *own_value(struct exchange *x, const struct vm *vm, const char *path)
{
    if (!strcmp(path, "instance/name"))
        return vm->name;
    if (!strcmp(path, "instance/zone"))
        return arena_printf(x->arena, "projects/" GOOGLE_NUMBER "/zones/%s", vm->zone);
    return strncmp(path, "instance/attributes/", 20) ? NULL : metadata_of(vm, path + 20);
}

void vm_metadata_get(struct exchange *x)
{
    struct vms *v = x->service->vms;
    const char *path = x->captures[1];
    if (!has_flavor(x))
        return;
    pthread_mutex_lock(&v->mutex);
    struct vm *vm = find_locked(v, NULL, x->captures[0]);
    const char *value = vm ? own_value(x, vm, path) : NULL;
    char *copy = value ? arena_printf(x->arena, "%s", value) : NULL;
    pthread_mutex_unlock(&v->mutex);
    x->captures[0] = path;
    if (copy)
        answer_text(x, 200, "application/text", copy);
    else
        metadata_get(x);
}

void vm_metadata_put(struct exchange *x)
{
    static const char space[] = "instance/guest-attributes/";
    struct vms *v = x->service->vms;
    const char *path = x->captures[1];
    if (!has_flavor(x))
        return;
    pthread_mutex_lock(&v->mutex);
    struct vm *vm = find_locked(v, NULL, x->captures[0]);
    const char *enabled = vm ? metadata_of(vm, "enable-guest-attributes") : NULL;
    bool may = enabled && !strcmp(enabled, "TRUE") && !strncmp(path, space, sizeof space - 1);
    if (may)
        json_object_set_new(vm->attributes, path + sizeof space - 1,
                            json_stringn(x->body.bytes, x->body.size));
    pthread_mutex_unlock(&v->mutex);
    answer_text(x, may ? 200 : 403, "text/html", "");
}
