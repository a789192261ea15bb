#include "cmd/running_cost.h"

#include "plan/cost.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- services --- */

/* USD a second. */
static double accelerator(const struct prices *p, const struct target_service *s)
{
    if (!s->accelerator)
        return 0;
    if (s->zonal_redundancy)
        return NAN;
    return strcmp(s->accelerator, "nvidia-l4") == 0 ? cost_gpu_l4(p, s->region).gpu_second
           : strcmp(s->accelerator, "nvidia-rtx-pro-6000") == 0
               ? cost_gpu_rtx_pro_6000(p, s->region).gpu_second
               : NAN;
}

static double gib_of(const struct target_service *s)
{
    return (double)s->memory_limit_bytes / (double)PLAN_GIB;
}

double running_cost_service(const struct prices *p, const struct target_service *s)
{
    if (!s->region || s->min_instances < 1)
        return 0;
    return cost_kept(p, s->region, s->vcpu, gib_of(s), s->cpu_always, s->min_instances) +
           s->min_instances * PLAN_MONTH_HOURS * 3600 * accelerator(p, s);
}

double running_cost_answering(const struct prices *p, const struct target_service *s)
{
    if (!s->region || s->vcpu < 1)
        return NAN;
    struct cost_load l = {.shape = {s->vcpu, (int)gib_of(s)}, .tier = prices_tier(p, s->region)};
    return cost_hour(p, &l, s->cpu_always ? COST_ALWAYS_ON : COST_SCALE_TO_ZERO) + 3600 * accelerator(p, s);
}

/* --- the rest --- */

static double job(const struct prices *p, const struct holding *h)
{
    int n = (int)h->count;
    if (!h->runs)
        return 0;
    return h->vcpu > 0 && h->gib > 0 ? cost_kept(p, h->region, h->vcpu, h->gib, true, n) : NAN;
}

static double vm(const struct prices *p, const struct holding *h)
{
    return cost_vm(p, &(struct cost_vm){.machine = h->machine,
                                        .region = h->region,
                                        .disk_gb = h->disk_gb,
                                        .runs = h->runs,
                                        .external = h->external,
                                        .spot = h->spot});
}

static double images(const struct prices *p, struct running_free *used, const struct holding *h)
{
    double before = cost_image(p, used->image_bytes);
    used->image_bytes += h->bytes;
    return cost_image(p, used->image_bytes) - before;
}

/* Free amounts are those of Standard storage in some regions together. */
static double bucket(const struct prices *p, struct running_free *used, const struct holding *h)
{
    enum storage_class c = 0;
    while (c < STORAGE_CLASSES && strcmp(storage_class_names[c], h->storage_class) != 0)
        c++;
    if (h->bytes == 0 || c == STORAGE_CLASSES)
        return h->bytes == 0 ? 0 : NAN;
    bool shares = c == STORAGE_STANDARD && prices_free_storage_gib(p, h->region) > 0;
    uint64_t before = shares ? used->bucket_bytes : 0;
    used->bucket_bytes += shares ? h->bytes : 0;
    return cost_storage(p, h->region, c, before + h->bytes, 0) - cost_storage(p, h->region, c, before, 0);
}

double running_cost_holding(const struct prices *p, struct running_free *used, const struct holding *h)
{
    bool stored = h->kind == HOLDING_IMAGES || h->kind == HOLDING_BUCKET;
    if (stored && !h->has_bytes)
        return NAN;
    switch (h->kind) {
    case HOLDING_JOB:
        return job(p, h);
    case HOLDING_VM:
        return vm(p, h);
    case HOLDING_IMAGES:
        return images(p, used, h);
    case HOLDING_BUCKET:
        return bucket(p, used, h);
    case HOLDING_KINDS:
        break;
    }
    return NAN;
}

/* --- text --- */

const char *running_cost_text(double usd, char out[RUNNING_COST_TEXT])
{
    if (isnan(usd))
        snprintf(out, RUNNING_COST_TEXT, "unknown");
    else if (usd == 0)
        snprintf(out, RUNNING_COST_TEXT, "$0");
    else if (usd < 0.0001)
        snprintf(out, RUNNING_COST_TEXT, "<$0.0001");
    else
        snprintf(out, RUNNING_COST_TEXT, "$%.*f", usd < 0.0995 ? 4 : usd < 99.95 ? 2 : 0, usd);
    return out;
}
