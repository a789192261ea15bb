#include "cmd/deploy_gpu.h"

#include "plan/cost.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static enum region_gpu has_l4(const struct region *r)
{
    return r->l4;
}

static enum region_gpu has_rtx(const struct region *r)
{
    return r->rtx_pro_6000;
}

static const struct gpu {
    const char *type;
    enum region_gpu (*has)(const struct region *r);
    struct cost_gpu (*cost)(const struct prices *p, const char *region);
} gpus[] = {
    {"nvidia-l4", has_l4, cost_gpu_l4},
    {"nvidia-rtx-pro-6000", has_rtx, cost_gpu_rtx_pro_6000},
};

/* With one that anyone may use. */
static const struct region *nearest(const struct gpu *g, const struct region *from)
{
    const struct region *best = NULL, *r;
    for (size_t i = 0; (r = region_at(i)); i++)
        if (g->has(r) == REGION_GPU && (!best || region_km(from, r) < region_km(from, best)))
            best = r;
    return best;
}

/* "$3.20 an hour with 8 vCPU and 32 GiB in us-central1"; of a region whose price is not known, another's. */
static void say_cost(const struct gpu *g, const struct prices *p, const char *region, char *out, size_t room)
{
    struct cost_gpu c = g->cost(p, region);
    if (isnan(c.hour))
        c = g->cost(p, NULL);
    snprintf(out, room, "$%.2f an hour with %d vCPU and %d GiB in %s", c.hour, c.vcpu, c.gib, c.region);
}

static bool refuse(const struct gpu *g, const struct region *here, const struct prices *p, struct err *e)
{
    static const char *const has[] = {
        [REGION_NO_GPU] = "has none", [REGION_GPU_INVITED] = "has it on Google's invitation"};
    char cost[120], where[200] = "";
    const struct region *near = nearest(g, here);
    say_cost(g, p, near->name, cost, sizeof cost);
    if (near != here)
        snprintf(where, sizeof where, "%s (%s) %s, the nearest that has is %s (%s), %.0f km away; and ",
                 here->name, here->place, has[g->has(here)], near->name, near->place, region_km(here, near));
    return err_set(e, ERR_UNSUPPORTED,
                   "--gpu %s: %sFerry's engine computes on CPUs, so nothing would use it (%s). A server that "
                   "does, such as vLLM behind `ferry exec` in an image of yours: gcloud run deploy --gpu 1 "
                   "--gpu-type %s",
                   g->type, where, cost, g->type);
}

bool deploy_gpu_refuse(const char *type, const struct region *here, const struct prices *p, struct err *e)
{
    for (size_t i = 0; i < sizeof gpus / sizeof *gpus; i++)
        if (strcmp(gpus[i].type, type) == 0)
            return refuse(&gpus[i], here, p, e);
    return err_set(e, ERR_USAGE, "--gpu \"%.60s\": Cloud Run has %s and %s", type, gpus[0].type,
                   gpus[1].type);
}
