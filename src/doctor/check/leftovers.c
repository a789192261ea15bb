/* leftovers.c: what Ferry made and still costs, whether anybody uses it or not. */
#include "cloud/artifact.h"
#include "cloud/compute.h"
#include "cloud/run.h"
#include "doctor/check/patient.h"
#include "plan/cost.h"

#include <string.h>

#define GIB 1073741824.0

/* --- virtual machines --- */

static double vm_usd(const struct patient *p, const struct vm_facts *vm)
{
    struct cost_vm c = {.machine = vm->machine,
                        .region = vm->region,
                        .disk_gb = vm->disk_gb,
                        .runs = vm->runs,
                        .external = vm->external,
                        .spot = vm->spot};
    return cost_vm(p->prices, &c);
}

static void judge_vm(const struct patient *p, const json_t *instance)
{
    struct vm_facts vm;
    vm_read(instance, &vm);
    struct finding *f =
        find(p, vm.runs ? "vm-running" : "vm-stopped", SEVERITY_WARNING, CERTAINTY_CERTAIN,
             vm.runs ? say(p, "A VM of Ferry's is still there: %s in %s (%s).", vm.name, vm.zone, vm.machine)
                     : say(p, "A VM of Ferry's is stopped, not deleted: %s in %s.", vm.name, vm.zone));
    f->why = vm.runs
                 ? _("It copies for an hour at most and should have deleted itself; each hour is charged.")
                 : _("Its disk is charged for until it is deleted.");
    f->next = verbatim(p, "gcloud compute instances delete %s --zone=%s", vm.name, vm.zone);
    f->usd_per_month = vm_usd(p, &vm);
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
    struct run_limits limits = run_limits_of(item_at(at(spec, "spec.containers"), 0));
    const json_t *least = json_object_get(own, "run.googleapis.com/minScale");
    const char *region = text_at(json_object_get(at(meta, "labels"), "cloud.googleapis.com/location"), "");
    int n = least ? (int)number_at(least, "")
                  : (int)number_at(json_object_get(notes, "autoscaling.knative.dev/minScale"), "");
    if (n < 1 || strcmp(text_at(meta, "name"), subject(p, "service")) == 0)
        return; /* the one this is about is looked at by itself */
    bool always =
        strcasecmp(text_at(json_object_get(notes, "run.googleapis.com/cpu-throttling"), ""), "false") == 0;
    struct finding *f = find(p, "service-kept-warm", SEVERITY_WARNING, CERTAINTY_CERTAIN,
                             say(p, "Service %s in %s keeps %d running although nobody calls it.",
                                 text_at(meta, "name"), region, n));
    f->why = _("Instances that are kept are charged for each second.");
    f->next = verbatim(p, "gcloud run services update %s --region=%s --min-instances=0",
                       text_at(meta, "name"), region);
    f->usd_per_month = cost_kept(p->prices, region, limits.vcpu, limits.gib, always, n);
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
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct repository r;
        repository_read(item_at(list, i), &r);
        bytes += r.ours ? (double)r.bytes : 0;
    }
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
