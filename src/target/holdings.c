#include "target/holdings.h"

#include "base/pool.h"
#include "base/stop.h"
#include "cloud/artifact.h"
#include "cloud/compute.h"
#include "cloud/label.h"
#include "cloud/run.h"
#include "cloud/serviceusage.h"
#include "cloud/storage.h"

#include <stdio.h>
#include <stdlib.h>

enum { REGIONS_MOST = 200, THREADS = 16 /* they wait for answers */ };

struct listing {
    struct target_run *run;
    const struct holdings_ear *ear;
    bool refused; /* the ear has said no: nothing more is told */
};

static bool tell(struct listing *l, const struct holding *h, struct err *e)
{
    l->refused = !l->ear->found(l->ear->arg, h, e);
    return !l->refused;
}

static void tell_unlisted(const struct listing *l, const struct err *why, const char *kind, const char *name)
{
    char what[200];
    snprintf(what, sizeof what, "%s%s", kind, name);
    l->ear->unlisted(l->ear->arg, what, why->text);
}

/* --- jobs --- */

/* How many tasks run at a time: all of them, unless it says fewer. */
static int64_t tasks_at_a_time(const json_t *template)
{
    int64_t tasks = json_integer_value(json_object_get(template, "taskCount")),
            most = json_integer_value(json_object_get(template, "parallelism"));
    tasks = tasks > 0 ? tasks : 1;
    return most > 0 && most < tasks ? most : tasks;
}

static bool runs(const json_t *job)
{
    const json_t *execution = json_object_get(job, "latestCreatedExecution");
    return json_object_get(execution, "name") && !json_object_get(execution, "completionTime");
}

/* Gone between listing and looking: not there. */
static bool take_job(void *arg, const struct run_found *f, struct err *e)
{
    struct listing *l = arg;
    struct err problem = {0};
    struct run_name n = {l->run->project, f->region, f->name};
    json_t *job = job_get(l->run->cloud, &n, &problem);
    if (!job && problem.kind != ERR_NOT_FOUND)
        tell_unlisted(l, &problem, "job ", f->name);
    if (!job)
        return true;
    const json_t *template = json_object_get(job, "template"), *task = json_object_get(template, "template");
    struct run_limits limits = run_limits_of(json_array_get(json_object_get(task, "containers"), 0));
    struct holding h = {.kind = HOLDING_JOB,
                        .name = f->name,
                        .place = f->region,
                        .region = f->region,
                        .runs = runs(job),
                        .count = tasks_at_a_time(template),
                        .vcpu = limits.vcpu,
                        .gib = limits.gib};
    bool ok = tell(l, &h, e);
    json_decref(job);
    return ok;
}

static bool list_jobs(struct listing *l, struct err *e)
{
    return job_find(l->run->cloud, l->run->project, LABEL, take_job, l, e);
}

/* --- VMs --- */

static bool take_vm(void *arg, const char *zone, const json_t *instance, struct err *e)
{
    struct vm_facts vm;
    vm_read(instance, &vm);
    struct holding h = {.kind = HOLDING_VM,
                        .name = vm.name,
                        .place = zone,
                        .region = vm.region,
                        .runs = vm.runs,
                        .machine = vm.machine,
                        .disk_gb = vm.disk_gb,
                        .external = vm.external,
                        .spot = vm.spot};
    return tell(arg, &h, e);
}

static bool list_vms(struct listing *l, struct err *e)
{
    return vm_find(l->run->cloud, l->run->project, LABEL, take_vm, l, e);
}

/* --- images: there is no listing of all regions, so each is asked, some at a time --- */

struct region {
    char name[64];
    struct err problem;
    struct {
        char name[64];
        uint64_t bytes;
    } found[4]; /* Ferry makes one in each */
    int count;
};

struct regions {
    const struct target_run *run;
    struct region *items;
    int count;
};

static bool take_region(void *arg, const char *name, struct err *e)
{
    struct regions *all = arg;
    if (all->count == REGIONS_MOST)
        return err_set(e, ERR_LIMIT, "more than %d regions", REGIONS_MOST);
    snprintf(all->items[all->count++].name, sizeof all->items->name, "%s", name);
    return true;
}

static bool take_repository(void *arg, const struct repository *r, struct err *e)
{
    struct region *region = arg;
    if (!r->ours)
        return true;
    if (region->count == (int)(sizeof region->found / sizeof *region->found))
        return err_set(e, ERR_LIMIT, "more repositories of Ferry's than are told");
    snprintf(region->found[region->count].name, sizeof region->found->name, "%s", r->name);
    region->found[region->count++].bytes = r->bytes;
    return true;
}

static void ask_regions(void *arg, size_t begin, size_t end, int thread)
{
    struct regions *all = arg;
    (void)thread;
    for (size_t i = begin; i < end && !stop_wanted(all->run->stop); i++) {
        struct region *r = &all->items[i];
        (void)!repository_each(all->run->cloud, all->run->project, r->name, take_repository, r, &r->problem);
    }
}

static bool add_image(void *arg, const struct docker_image *i, struct err *e)
{
    struct holding *h = arg;
    (void)e;
    h->count++;
    h->bytes += i->bytes;
    return true;
}

/* A size that the repository does not say is that of its images, which may share layers. */
static bool tell_repository(struct listing *l, const char *region, const char *name, uint64_t bytes,
                            struct err *e)
{
    struct repository_name n = {l->run->project, region, name};
    struct holding h = {
        .kind = HOLDING_IMAGES, .name = name, .place = region, .region = region, .has_bytes = true};
    struct err problem = {0};
    if (!docker_image_each(l->run->cloud, &n, add_image, &h, &problem)) {
        tell_unlisted(l, &problem, "images in ", region);
        h.has_bytes = bytes > 0;
    }
    h.bytes = bytes ? bytes : h.bytes;
    return tell(l, &h, e);
}

static bool tell_region(struct listing *l, const struct region *r, struct err *e)
{
    if (*r->problem.text)
        tell_unlisted(l, &r->problem, "images in ", r->name);
    for (int i = 0; i < r->count; i++)
        if (!tell_repository(l, r->name, r->found[i].name, r->found[i].bytes, e))
            return false;
    return true;
}

/* All of them refused alike is one line. */
static bool all_alike(const struct regions *all)
{
    for (int i = 0; i < all->count; i++)
        if (!*all->items[i].problem.text || all->items[i].problem.kind != all->items[0].problem.kind)
            return false;
    return all->count > 0;
}

static bool tell_regions(struct listing *l, const struct regions *all, struct err *e)
{
    if (all_alike(all)) {
        *e = all->items[0].problem;
        return false;
    }
    for (int i = 0; i < all->count; i++)
        if (!tell_region(l, &all->items[i], e))
            return false;
    return true;
}

static bool list_images(struct listing *l, struct err *e)
{
    struct regions all = {.run = l->run};
    struct pool *pool = pool_new(THREADS, e);
    all.items = pool ? calloc(REGIONS_MOST, sizeof *all.items) : NULL;
    if (pool && !all.items)
        err_set(e, ERR_MEMORY, "no memory for the regions");
    bool ok = all.items && run_regions(l->run->cloud, l->run->project, take_region, &all, e);
    if (ok)
        pool_each(pool, (size_t)all.count, 1, ask_regions, &all);
    pool_free(pool);
    ok = ok && tell_regions(l, &all, e);
    free(all.items);
    return ok;
}

/* --- buckets --- */

static bool add_object(void *arg, const struct object *o, struct err *e)
{
    struct holding *h = arg;
    (void)e;
    h->bytes += o->size;
    h->count++;
    return true;
}

static bool take_bucket(void *arg, const struct bucket_found *b, struct err *e)
{
    struct listing *l = arg;
    struct err problem = {0};
    struct holding h = {.kind = HOLDING_BUCKET,
                        .name = b->name,
                        .place = b->location,
                        .region = b->location,
                        .storage_class = b->storage_class,
                        .soft_delete_days = b->soft_delete_days};
    if (!b->ours)
        return true;
    struct storage_list all = {.bucket = b->name, .on_object = add_object, .arg = &h};
    h.has_bytes = storage_list(l->run->cloud, &all, &problem);
    if (!h.has_bytes)
        tell_unlisted(l, &problem, "objects in gs://", b->name);
    return tell(l, &h, e);
}

static bool list_buckets(struct listing *l, struct err *e)
{
    return bucket_each(l->run->cloud, l->run->project, take_bucket, l, e);
}

/* --- all --- */

static const struct {
    const char *what, *api; /* api NULL: every project has it */
    bool (*list)(struct listing *l, struct err *e);
} kinds[HOLDING_KINDS] = {
    [HOLDING_JOB] = {"jobs", "run.googleapis.com", list_jobs},
    [HOLDING_VM] = {"VMs", "compute.googleapis.com", list_vms},
    [HOLDING_IMAGES] = {"images", "artifactregistry.googleapis.com", list_images},
    [HOLDING_BUCKET] = {"buckets", NULL, list_buckets},
};

/* Who may not ask which APIs are on hears from each API itself. */
static void look_at_apis(struct listing *l, bool on[HOLDING_KINDS])
{
    enum { APIS = HOLDING_BUCKET };
    const char *names[APIS];
    struct err ignored = {0};
    for (int i = 0; i < APIS; i++)
        names[i] = kinds[i].api;
    bool known = api_enabled(l->run->cloud, l->run->project, names, APIS, on, &ignored);
    for (int i = 0; i < HOLDING_KINDS; i++)
        on[i] = !known || !kinds[i].api || on[i];
}

bool holdings_list(struct target_run *r, const struct holdings_ear *ear, struct err *e)
{
    struct listing l = {.run = r, .ear = ear};
    bool on[HOLDING_KINDS] = {false};
    look_at_apis(&l, on);
    for (int i = 0; i < HOLDING_KINDS; i++) {
        struct err problem = {0};
        if (stop_wanted(r->stop))
            return err_set(e, ERR_CANCELLED, "interrupted");
        if (!on[i])
            err_set(&problem, ERR_IO, "%s is off in %s", kinds[i].api, r->project);
        else if (kinds[i].list(&l, &problem))
            continue;
        if (l.refused) {
            *e = problem;
            return false;
        }
        tell_unlisted(&l, &problem, kinds[i].what, "");
    }
    return true;
}
