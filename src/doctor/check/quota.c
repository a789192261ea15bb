/* quota.c: whether as many instances can start as the service may have. Cloud Run counts what each instance
 * takes, in each region: CpuAllocPerProjectRegion in thousandths of a vCPU, MemAllocPerProjectRegion in
 * bytes. */
#include "doctor/check/patient.h"
#include "doctor/check/service_shape.h"

#include <math.h>
#include <string.h>

#define QUOTAS "https://console.cloud.google.com/iam-admin/quotas?service=run.googleapis.com"

static bool names_region(const json_t *info, const char *region)
{
    const json_t *places = at(info, "applicableLocations");
    for (size_t i = 0; i < json_array_size(places); i++)
        if (strcmp(text_at(item_at(places, i), ""), region) == 0)
            return true;
    return strcmp(text_at(info, "dimensions.region"), region) == 0;
}

/* Of quotaInfos/ID (Cloud Quotas v1); NAN: it does not say. -1 stands for no limit. */
static double quota_in(const json_t *body, const char *region)
{
    const json_t *infos = at(body, "dimensionsInfos");
    for (size_t i = 0; i < json_array_size(infos); i++)
        if (names_region(item_at(infos, i), region) && at(item_at(infos, i), "details.value"))
            return number_at(item_at(infos, i), "details.value");
    return NAN;
}

struct kind {
    const char *question, *id, *fine_id;
    bool memory; /* GiB, else vCPU */
    double unit; /* of the quota, in those */
};

static const char *sentence(const struct patient *p, const struct kind *k, int instances, double takes,
                            double quota)
{
    if (k->memory)
        return say(p, "%d instances take %.0f GiB of memory; the quota in this region is %.0f.", instances,
                   takes, quota);
    return say(p, "%d instances take %.0f vCPU; the quota in this region is %.0f.", instances, takes, quota);
}

static void judge_kind(const struct patient *p, const struct kind *k, double of_one, int instances)
{
    struct answer a;
    if (!of_one || !instances || !answer_good(p, k->question, &a))
        return;
    double quota = quota_in(a.body, subject(p, "region")) / k->unit;
    if (isnan(quota)) {
        skip(p, k->question, _("the answer names no value for this region"));
        return;
    }
    int fit = (int)floor(quota / of_one);
    if (quota < 0 || fit >= instances) {
        fine(p, k->fine_id, sentence(p, k, instances, of_one * instances, quota));
        return;
    }
    struct finding *f = find(p, k->id, fit ? SEVERITY_WARNING : SEVERITY_PROBLEM, CERTAINTY_CERTAIN,
                             sentence(p, k, instances, of_one * instances, quota));
    f->why =
        fit ? say(p,
                  "Only %d start; requests beyond them are answered with 429, and the next deployment may be "
                  "refused with \"Quota violated\".",
                  fit)
            : _("Not one instance starts.");
    f->next = fit ? verbatim(p, "gcloud run services update %s --region=%s --max-instances=%d",
                             subject(p, "service"), subject(p, "region"), fit)
                  : verbatim(p, QUOTAS "&project=%s", subject(p, "project"));
}

void check_quota(struct patient *p)
{
    static const struct kind cpu = {"quota_cpu", "quota-cpu", "quota-cpu-fine", false, 1000};
    static const struct kind memory = {"quota_memory", "quota-memory", "quota-memory-fine", true,
                                       1073741824.0};
    struct service_shape s = service_shape_of(p);
    judge_kind(p, &cpu, s.vcpu, s.max_instances);
    judge_kind(p, &memory, s.memory_gib, s.max_instances);
}
