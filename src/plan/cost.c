#include "plan/cost.h"

#include <stdio.h>
#include <string.h>

enum { DAY_SECONDS = 86400, HOUR_SECONDS = 3600, PART_BYTES = 8 << 20, BOOT_DISK_GB = 10 };

static const double month_days = PLAN_MONTH_HOURS / 24, month_seconds = PLAN_MONTH_HOURS * HOUR_SECONDS;

/* --- traffic ---------------------------------------------------------------------------------------------
 */

double cost_cold_starts_per_day(double requests_per_day)
{
    return requests_per_day * exp(-requests_per_day / DAY_SECONDS * RUN_IDLE_SECONDS);
}

double cost_on(double requests_per_day, double answer_s)
{
    return 1 - exp(-requests_per_day / DAY_SECONDS * (RUN_IDLE_SECONDS + answer_s));
}

/* --- Cloud Run -------------------------------------------------------------------------------------------
 */

/* What is used in a month, each with its rate. */
struct usage {
    double active_s, idle_s, instance_s; /* instance-seconds */
    double requests, starts;
};

static double rate(const struct run_rate *r, struct run_shape s)
{
    return s.vcpu * r->cpu + s.gib * r->memory;
}

static double least(double a, double b)
{
    return a < b ? a : b;
}

/* Free vCPU-seconds and GiB-seconds, in dollars of tier 1. */
static double free_time(const struct free_amounts *f, const struct run_rate *tier1, struct run_shape s,
                        double seconds)
{
    return least(f->cpu_seconds, s.vcpu * seconds) * tier1->cpu +
           least(f->gib_seconds, s.gib * seconds) * tier1->memory;
}

static double reads(const struct prices *p, double operations)
{
    return operations * prices_value(p, "gcs.ops.class_b") / 1000;
}

/* 0 * an unknown price is 0: what is not used needs no price. */
static double priced(double amount, double price)
{
    return amount > 0 ? amount * price : 0;
}

/* What is left when the free part is taken off; rounding may take a little more. NAN stays. */
static double rest(double amount)
{
    return amount < 0 ? 0 : amount;
}

static double request_based(const struct prices *p, const struct cost_load *l, const struct usage *u)
{
    struct run_rates here = prices_run(p, l->tier), tier1 = prices_run(p, TIER_1);
    struct free_amounts f = prices_free_requests(p);
    double active = u->active_s * rate(&here.active, l->shape);
    return rest(active - free_time(&f, &tier1.active, l->shape, u->active_s)) +
           priced(u->idle_s, rate(&here.idle, l->shape)) +
           priced(rest(u->requests - f.requests), here.per_request) +
           priced(u->starts, reads(p, l->start_reads));
}

static double instance_based(const struct prices *p, const struct cost_load *l, const struct usage *u)
{
    struct run_rates here = prices_run(p, l->tier), tier1 = prices_run(p, TIER_1);
    struct free_amounts f = prices_free_instance(p);
    double kept = u->instance_s * rate(&here.instance, l->shape);
    return rest(kept - free_time(&f, &tier1.instance, l->shape, u->instance_s)) +
           priced(u->starts, reads(p, l->start_reads));
}

/* answer_s, cold_s: one end of their spans. */
static double month(const struct prices *p, const struct cost_load *l, enum cost_way way, int min_instances,
                    double answer_s, double cold_s)
{
    double requests = l->requests_per_day * month_days, n = min_instances > 1 ? min_instances : 1;
    double starts = cost_cold_starts_per_day(l->requests_per_day) * month_days;
    double busy = requests * answer_s;
    struct usage u = {.requests = requests};
    switch (way) {
    case COST_SCALE_TO_ZERO:
        u.starts = starts;
        u.active_s = priced(requests - starts, answer_s) + priced(starts, cold_s);
        return request_based(p, l, &u);
    case COST_MIN_INSTANCES:
        u.active_s = busy;
        u.idle_s = fmax(n * month_seconds - busy, 0);
        return request_based(p, l, &u);
    case COST_INSTANCE_BASED:
        u.starts = starts;
        u.instance_s =
            cost_on(l->requests_per_day, answer_s) * month_seconds + priced(starts, cold_s - answer_s);
        u.instance_s = fmax(u.instance_s, busy);
        return instance_based(p, l, &u);
    case COST_ALWAYS_ON:
        u.instance_s = fmax(n * month_seconds, busy);
        return instance_based(p, l, &u);
    case COST_WAYS:
        break;
    }
    return NAN;
}

struct span cost_month(const struct prices *p, const struct cost_load *l, enum cost_way way,
                       int min_instances)
{
    return (struct span){month(p, l, way, min_instances, l->answer_s.least, l->cold_s.least),
                         month(p, l, way, min_instances, l->answer_s.most, l->cold_s.most)};
}

struct span cost_cold_start(const struct prices *p, const struct cost_load *l)
{
    struct run_rates here = prices_run(p, l->tier);
    struct span s = span_times(l->cold_s, rate(&here.active, l->shape));
    return span_add(s, span_of(reads(p, l->start_reads)));
}

struct span cost_request(const struct prices *p, const struct cost_load *l)
{
    struct run_rates here = prices_run(p, l->tier);
    return span_add(span_times(l->answer_s, rate(&here.active, l->shape)), span_of(here.per_request));
}

double cost_hour(const struct prices *p, const struct cost_load *l, enum cost_way way)
{
    struct run_rates here = prices_run(p, l->tier);
    const struct run_rate *r = way == COST_SCALE_TO_ZERO   ? &here.active
                               : way == COST_MIN_INSTANCES ? &here.idle
                                                           : &here.instance;
    return rate(r, l->shape) * HOUR_SECONDS;
}

/* --- break-even ------------------------------------------------------------------------------------------
 */

struct span cost_capacity(const struct cost_load *l)
{
    return span_divides(DAY_SECONDS, l->answer_s);
}

/* The other side of a comparison, at so many requests a day. */
struct other {
    double usd; /* way == COST_WAYS: whatever the requests */
    enum cost_way way;
    int min_instances;
};

static double difference(const struct prices *p, struct cost_load l, const struct other *o, double requests,
                         double answer_s, double cold_s)
{
    l.requests_per_day = requests;
    double mine = month(p, &l, COST_SCALE_TO_ZERO, 0, answer_s, cold_s);
    double others = o->way == COST_WAYS ? o->usd : month(p, &l, o->way, o->min_instances, answer_s, cold_s);
    return mine - others * 1.001;
}

/* The first crossing: a fine walk finds it, halving sharpens it. */
static double crossing(const struct prices *p, const struct cost_load *l, const struct other *o,
                       double answer_s, double cold_s)
{
    enum { STEPS = 400, HALVINGS = 50 };
    double most = DAY_SECONDS / answer_s, low = 0, high = 0;
    if (isnan(difference(p, *l, o, most / 2, answer_s, cold_s)))
        return NAN;
    for (int i = 1; i <= STEPS && high == 0; i++) {
        double at = most * pow((double)i / STEPS, 3); /* closer together where requests are few */
        if (difference(p, *l, o, at, answer_s, cold_s) > 0)
            high = at;
        else
            low = at;
    }
    if (high == 0)
        return INFINITY;
    for (int i = 0; i < HALVINGS; i++) {
        double middle = (low + high) / 2;
        bool above = difference(p, *l, o, middle, answer_s, cold_s) > 0;
        *(above ? &high : &low) = middle;
    }
    return high;
}

struct span cost_break_even(const struct prices *p, const struct cost_load *l, struct span usd)
{
    struct other fast = {.usd = usd.least, .way = COST_WAYS}, slow = {.usd = usd.most, .way = COST_WAYS};
    double a = crossing(p, l, &fast, l->answer_s.least, l->cold_s.least);
    double b = crossing(p, l, &slow, l->answer_s.most, l->cold_s.most);
    return (struct span){least(a, b), a > b ? a : b};
}

struct span cost_break_even_way(const struct prices *p, const struct cost_load *l, enum cost_way way,
                                int min_instances)
{
    struct other o = {.way = way, .min_instances = min_instances};
    double a = crossing(p, l, &o, l->answer_s.least, l->cold_s.least);
    double b = crossing(p, l, &o, l->answer_s.most, l->cold_s.most);
    return (struct span){least(a, b), a > b ? a : b};
}

/* --- machines --------------------------------------------------------------------------------------------
 */

static const char *const machines[] = {"e2-small",      "e2-medium",     "e2-standard-2", "e2-standard-4",
                                       "e2-standard-8", "n2-standard-4", "n2-standard-8", "n4-standard-4",
                                       "c3-standard-4", "c3-standard-8"};
static const char *const l4_machines[] = {"g2-standard-4", "g2-standard-8"};

static double boot_disk_month(const struct prices *p, const char *region)
{
    return BOOT_DISK_GB * prices_value(p, "gce.disk.pd-balanced.%s", region);
}

static struct cost_machine cheapest(const struct prices *p, const char *region, const char *const *names,
                                    size_t count, int vcpu, int gib)
{
    struct cost_machine best = {.price = prices_find(p, "%s", "")};
    for (size_t i = 0; i < count; i++) {
        const struct price *one = prices_find(p, "gce.%s.%s", names[i], region);
        if (one->vcpu >= vcpu && one->ram_gib >= gib && !(best.price->value <= one->value))
            best.price = one;
    }
    best.month = best.price->value * PLAN_MONTH_HOURS;
    best.disk_month = boot_disk_month(p, region);
    return best;
}

struct cost_machine cost_machine_for(const struct prices *p, const char *region, int vcpu, int gib)
{
    return cheapest(p, region, machines, sizeof machines / sizeof *machines, vcpu, gib);
}

struct cost_machine cost_machine_l4(const struct prices *p, const char *region, int gib)
{
    return cheapest(p, region, l4_machines, sizeof l4_machines / sizeof *l4_machines, 0, gib);
}

double cost_vm(const struct prices *p, const struct cost_vm *vm)
{
    double disks = priced(vm->disk_gb, prices_value(p, "gce.disk.pd-balanced.%s", vm->region));
    double machine = vm->spot ? NAN : prices_value(p, "gce.%s.%s", vm->machine, vm->region);
    double address = vm->external ? prices_value(p, "net.ip.vm") : 0;
    return disks + (vm->runs ? PLAN_MONTH_HOURS * (machine + address) : 0);
}

double cost_kept(const struct prices *p, const char *region, double vcpu, double gib, bool always,
                 int instances)
{
    struct run_rates rates = prices_run(p, prices_tier(p, region));
    const struct run_rate *r = always ? &rates.instance : &rates.idle;
    return priced(instances, month_seconds * (vcpu * r->cpu + gib * r->memory));
}

/* --- the bucket ------------------------------------------------------------------------------------------
 */

const char *const storage_class_names[] = {"standard", "nearline", "coldline", "archive"};

double cost_storage(const struct prices *p, const char *location, enum storage_class c, uint64_t bytes,
                    double reads_per_month)
{
    double gib = (double)bytes / (double)PLAN_GIB, held = gib;
    if (c == STORAGE_STANDARD)
        held -= least(gib, prices_free_storage_gib(p, location));
    char retrieval_id[40];
    snprintf(retrieval_id, sizeof retrieval_id, "gcs.retrieval.%s", storage_class_names[c]);
    double retrieval = c == STORAGE_STANDARD ? 0 : prices_value_in(p, location, retrieval_id);
    return held * prices_value(p, "gcs.storage.%s.%s", storage_class_names[c], location) +
           priced(reads_per_month, gib * retrieval);
}

double cost_image(const struct prices *p, uint64_t bytes)
{
    double gib = (double)bytes / (double)PLAN_GIB;
    return (gib - least(gib, prices_free_images_gib(p))) * prices_value(p, "ar.storage");
}

/* --- once ------------------------------------------------------------------------------------------------
 */

double cost_stage_here(const struct prices *p, uint64_t bytes)
{
    double parts = ceil((double)bytes / PART_BYTES);
    return parts * prices_value(p, "gcs.ops.class_a") / 1000;
}

double cost_stage_job(const struct prices *p, enum price_tier tier)
{
    enum { TASKS = 8, SECONDS = 300 };
    const struct run_shape shape = {.vcpu = 2, .gib = 2};
    struct run_rates r = prices_run(p, tier);
    return TASKS * SECONDS * rate(&r.instance, shape);
}

struct span cost_stage_tasks(const struct prices *p, enum price_tier tier, int tasks, struct span seconds)
{
    enum { LEAST = 60 };
    const struct run_shape shape = {.vcpu = 2, .gib = 2};
    struct run_rates r = prices_run(p, tier);
    double second = tasks * rate(&r.instance, shape);
    return (struct span){fmax(seconds.least, LEAST) * second, fmax(seconds.most, LEAST) * second};
}

struct span cost_stage_seconds(uint64_t bytes)
{
    const double slow = 25e6, fast = 200e6;
    return (struct span){(double)bytes / fast, (double)bytes / slow};
}

struct span cost_stage_vm_seconds(uint64_t bytes)
{
    return span_add(cost_stage_seconds(bytes), (struct span){40, 150});
}

struct span cost_stage_machine(const struct prices *p, const char *region, struct span seconds)
{
    enum { LEAST = 60 };
    double second = cost_stage_vm(p, region) / HOUR_SECONDS;
    return (struct span){fmax(seconds.least, LEAST) * second, fmax(seconds.most, LEAST) * second};
}

double cost_stage_vm(const struct prices *p, const char *region)
{
    return prices_value(p, "gce.e2-standard-4.%s", region) + prices_value_in(p, region, "net.ip.vm") +
           boot_disk_month(p, region) / PLAN_MONTH_HOURS;
}

/* --- GPU -------------------------------------------------------------------------------------------------
 */

uint64_t cost_gpu_usable(int vram_gb)
{
    return (uint64_t)vram_gb * 22 * PLAN_GIB / 24;
}

static struct cost_gpu gpu(const struct prices *p, const char *item, const char *region, struct cost_gpu g)
{
    const struct price *price = prices_find(p, "%s", item);
    bool known = !region || strcmp(region, price->region) == 0;
    g.region = known ? price->region : region;
    struct run_rates r = prices_run(p, prices_tier(p, g.region));
    g.gpu_second = known ? price->value : NAN;
    g.hour = (g.gpu_second + rate(&r.instance, (struct run_shape){g.vcpu, g.gib})) * HOUR_SECONDS;
    return g;
}

struct cost_gpu cost_gpu_l4(const struct prices *p, const char *region)
{
    return gpu(p, "run.gpu.l4.nonzr", region,
               (struct cost_gpu){.name = "L4", .vcpu = 8, .gib = 32, .vram_gb = 24});
}

struct cost_gpu cost_gpu_rtx_pro_6000(const struct prices *p, const char *region)
{
    return gpu(p, "run.gpu.rtxpro6000.nonzr", region,
               (struct cost_gpu){.name = "RTX PRO 6000", .vcpu = 20, .gib = 80, .vram_gb = 96});
}
