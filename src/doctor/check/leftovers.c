/* leftovers.c: what Ferry made and still costs, whether anybody uses it or not. */
#include "doctor/check/patient.h"
#include "doctor/check/service_shape.h"

#include <math.h>
#include <string.h>

#define HOURS 730.0 /* a month, as Google's price pages have it */
#define GIB 1073741824.0

static const char *last(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* --- virtual machines --- */

/* Disks of a VM, in the price of pd-balanced, which is what Ferry takes. */
static double disks_usd(const struct patient *p, const json_t *vm, const char *region)
{
    double gb = 0;
    const json_t *disks = at(vm, "disks");
    for (size_t i = 0; i < json_array_size(disks); i++)
        gb += number_at(item_at(disks, i), "diskSizeGb");
    return gb * prices_value(p->prices, "gce.disk.pd-balanced.%s", region);
}

static double machine_usd(const struct patient *p, const json_t *vm, const char *region)
{
    const char *type = last(text_at(vm, "machineType"));
    return HOURS *
           (prices_value(p->prices, "gce.%s.%s", type, region) + prices_value(p->prices, "net.ip.vm"));
}

static void judge_vm(const struct patient *p, const json_t *vm)
{
    const char *zone = last(text_at(vm, "zone")), *vm_name = text_at(vm, "name"),
               *status = text_at(vm, "status");
    const char *region = verbatim(p, "%.*s", (int)(strlen(zone) > 2 ? strlen(zone) - 2 : 0), zone);
    bool runs = strcmp(status, "TERMINATED") != 0 && strcmp(status, "STOPPED") != 0;
    struct finding *f =
        find(p, runs ? "vm-running" : "vm-stopped", SEVERITY_WARNING, CERTAINTY_CERTAIN,
             runs ? say(p, "A VM of Ferry's is still there: %s in %s (%s).", vm_name, zone,
                        last(text_at(vm, "machineType")))
                  : say(p, "A VM of Ferry's is stopped, not deleted: %s in %s.", vm_name, zone));
    f->why = runs ? _("It copies for an hour at most and should have deleted itself; each hour is charged.")
                  : _("Its disk is charged for until it is deleted.");
    f->next = verbatim(p, "gcloud compute instances delete %s --zone=%s", vm_name, zone);
    f->usd_per_month = disks_usd(p, vm, region) + (runs ? machine_usd(p, vm, region) : 0);
}

static void judge_vms(const struct patient *p)
{
    struct answer a;
    const char *zone;
    json_t *scope;
    if (!answer_good(p, "vms", &a))
        return;
    json_object_foreach(json_object_get(a.body, "items"), zone, scope)
    {
        const json_t *list = at(scope, "instances");
        for (size_t i = 0; i < json_array_size(list); i++)
            judge_vm(p, item_at(list, i));
    }
}

/* --- services and jobs --- */

/* Knative's names of them, as the listing of all regions has them. */
static void judge_service(const struct patient *p, const json_t *s)
{
    const json_t *meta = at(s, "metadata"), *spec = at(s, "spec.template"),
                 *notes = at(spec, "metadata.annotations");
    const json_t *own = at(meta, "annotations");
    const json_t *limits = at(item_at(at(spec, "spec.containers"), 0), "resources.limits");
    const json_t *least = json_object_get(own, "run.googleapis.com/minScale");
    const char *region = text_at(json_object_get(at(meta, "labels"), "cloud.googleapis.com/location"), "");
    int n = least ? (int)number_at(least, "")
                  : (int)number_at(json_object_get(notes, "autoscaling.knative.dev/minScale"), "");
    if (n < 1 || strcmp(text_at(meta, "name"), subject(p, "service")) == 0)
        return; /* the one this is about is looked at by itself */
    struct service_shape shape = {
        .vcpu = quantity_vcpu(text_at(limits, "cpu")),
        .memory_gib = quantity_gib(text_at(limits, "memory")),
        .always_on = strcasecmp(text_at(json_object_get(notes, "run.googleapis.com/cpu-throttling"), ""),
                                "false") == 0};
    struct finding *f = find(p, "service-kept-warm", SEVERITY_WARNING, CERTAINTY_CERTAIN,
                             say(p, "Service %s in %s keeps %d running although nobody calls it.",
                                 text_at(meta, "name"), region, n));
    f->why = _("Instances that are kept are charged for each second.");
    f->next = verbatim(p, "gcloud run services update %s --region=%s --min-instances=0",
                       text_at(meta, "name"), region);
    f->usd_per_month = service_idle_usd(p, &shape, n);
}

static void judge_services(const struct patient *p)
{
    struct answer a;
    if (!answer_good(p, "services", &a))
        return;
    const json_t *list = at(a.body, "items");
    for (size_t i = 0; i < json_array_size(list); i++)
        judge_service(p, item_at(list, i));
}

static void judge_jobs(const struct patient *p)
{
    struct answer a;
    if (!answer_good(p, "jobs", &a))
        return;
    const json_t *list = at(a.body, "items");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *run = at(item_at(list, i), "status.latestCreatedExecution");
        if (!at(run, "name") || at(run, "completionTimestamp"))
            continue;
        struct finding *f = find(p, "job-running", SEVERITY_NOTE, CERTAINTY_CERTAIN,
                                 say(p, "Job %s is running (%s).", text_at(item_at(list, i), "metadata.name"),
                                     text_at(run, "name")));
        f->why = _("It is charged for until it ends; a task is stopped at its time limit.");
        f->next = verbatim(p, "gcloud run jobs executions cancel %s", text_at(run, "name"));
    }
}

/* --- images --- */

static void judge_images(const struct patient *p)
{
    struct answer a;
    double bytes = 0;
    if (!answer_good(p, "images", &a))
        return;
    const json_t *list = at(a.body, "repositories");
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(text_at(json_object_get(at(item_at(list, i), "labels"), "managed-by"), ""), "ferry") == 0)
            bytes += number_at(item_at(list, i), "sizeBytes");
    double gib = bytes / GIB, charged = gib - prices_free_images_gib(p->prices);
    if (charged <= 0)
        return;
    struct finding *f = find(p, "images-stored", SEVERITY_NOTE, CERTAINTY_CERTAIN,
                             say(p, "Images of Ferry's take %.1f GiB in Artifact Registry.", gib));
    f->why = say(p, "The first %.1f GiB are free; old images can go, the one that is deployed must stay.",
                 prices_free_images_gib(p->prices));
    f->next = verbatim(p, "https://console.cloud.google.com/artifacts?project=%s", subject(p, "project"));
    f->usd_per_month = charged * prices_value(p->prices, "ar.storage");
}

void check_leftovers(struct patient *p)
{
    int before = p->out->count;
    bool asked =
        answer_of(p, "vms").verdict == VERDICT_GOOD && answer_of(p, "services").verdict == VERDICT_GOOD;
    judge_vms(p);
    judge_services(p);
    judge_jobs(p);
    judge_images(p);
    if (asked && p->out->count == before)
        fine(p, "leftovers-fine",
             _("Nothing of Ferry's costs anything while nobody uses it, but the buckets."));
}
