/* plan_report_cost.c: the part of a plan that is about money. */
#include "cmd/plan_report.h"

#include "base/catalog.h"
#include "cmd/human.h"

#include <math.h>
#include <string.h>

const char *const plan_way_names[COST_WAYS] = {
    [COST_SCALE_TO_ZERO] = N_("scale to zero"),
    [COST_MIN_INSTANCES] = N_("one instance warm"),
    [COST_INSTANCE_BASED] = N_("instance-based, to zero"),
    [COST_ALWAYS_ON] = N_("instance-based, always on"),
};

static double gib(uint64_t bytes)
{
    return (double)bytes / (double)PLAN_GIB;
}

/* A price as the snapshot has it, without zeros behind it. */
static const char *price_text(struct report *r, double usd)
{
    char digits[40];
    if (isnan(usd))
        return _("(a price that is not in the snapshot)");
    int n = snprintf(digits, sizeof digits, "%.9f", usd);
    while (n > 1 && digits[n - 1] == '0')
        n--;
    return report_text(r, "$%.*s", n, digits);
}

/* "8 vCPU * $0.000024 + 21 GiB * $0.0000025 = $0.0002445 a second" */
static const char *rate_text(struct report *r, struct run_shape s, const struct run_rate *rate)
{
    return report_text(r, "%d vCPU * %s + %d GiB * %s = %s a second", s.vcpu, price_text(r, rate->cpu), s.gib,
                       price_text(r, rate->memory), price_text(r, s.vcpu * rate->cpu + s.gib * rate->memory));
}

/* Where a price is from. */
static const char *source_text(struct report *r, const struct price *p)
{
    return *p->date ? report_text(r, "%s, %s", p->source, p->date) : p->source;
}

static const char *way_name(struct report *r, const struct plan *p, enum cost_way way)
{
    int n = p->question.min_instances;
    if (way == COST_MIN_INSTANCES && n > 1)
        return report_text(r, "%d instances warm", n);
    if (way == COST_ALWAYS_ON && n > 1)
        return report_text(r, "instance-based, %d always on", n);
    return tr(plan_way_names[way]);
}

static const char *way_why(struct report *r, const struct plan_view *v, enum cost_way way)
{
    const struct plan *p = v->plan;
    const struct cost_load *l = &p->chosen->load;
    struct run_rates rates = prices_run(v->prices, p->tier);
    const char *answer = say_seconds_span(r, l->answer_s), *cold = say_seconds_span(r, l->cold_s);
    const char *requests = say_count(r, l->requests_per_day);
    double starts = cost_cold_starts_per_day(l->requests_per_day);
    switch (way) {
    case COST_SCALE_TO_ZERO:
        return report_text(r,
                           "%s requests a day, of which %s find no instance (R * exp(-R/86400 * 900)): those "
                           "take %s, the others %s; %s; free amounts taken off",
                           requests, say_few(r, starts), cold, answer, rate_text(r, l->shape, &rates.active));
    case COST_MIN_INSTANCES:
        return report_text(r, "%s requests a day of %s at %s; the rest of 730 h at %s", requests, answer,
                           rate_text(r, l->shape, &rates.active), rate_text(r, l->shape, &rates.idle));
    case COST_INSTANCE_BASED:
        return report_text(
            r, "there %s %% of the time (1 - exp(-R/86400 * (900 + answer))), and %s cold starts a day; %s",
            say_from_span(r, (struct span){100 * cost_on(l->requests_per_day, l->answer_s.least),
                                           100 * cost_on(l->requests_per_day, l->answer_s.most)}),
            say_few(r, starts), rate_text(r, l->shape, &rates.instance));
    case COST_ALWAYS_ON:
        return report_text(r, "730 h at %s", rate_text(r, l->shape, &rates.instance));
    case COST_WAYS:
        break;
    }
    return "";
}

static const char *cheaper_from(struct report *r, struct span requests)
{
    const char *from = say_from_span(r, requests);
    bool number = span_known(requests) && !isinf(requests.least);
    return number ? report_text(r, "%s requests a day", from) : from;
}

static void report_ways(struct report *r, const struct plan_view *v, struct report_section *s)
{
    const struct plan *p = v->plan;
    const struct cost_load *l = &p->chosen->load;
    bool zero = p->question.min_instances == 0;
    REPORT_ROW(s, zero ? REPORT_CHOSEN : REPORT_PLAIN, way_why(r, v, COST_SCALE_TO_ZERO),
               way_name(r, p, COST_SCALE_TO_ZERO), say_usd_span(r, &v->money, p->ways[COST_SCALE_TO_ZERO]),
               say_usd(r, &v->money, 0), "");
    REPORT_ROW(s, zero ? REPORT_PLAIN : REPORT_CHOSEN, way_why(r, v, COST_MIN_INSTANCES),
               way_name(r, p, COST_MIN_INSTANCES), say_usd_span(r, &v->money, p->ways[COST_MIN_INSTANCES]),
               say_usd(r, &v->money, cost_hour(v->prices, l, COST_MIN_INSTANCES)),
               cheaper_from(r, p->even_min));
    REPORT_ROW(s, REPORT_PLAIN, way_why(r, v, COST_INSTANCE_BASED), way_name(r, p, COST_INSTANCE_BASED),
               say_usd_span(r, &v->money, p->ways[COST_INSTANCE_BASED]), say_usd(r, &v->money, 0), "");
    REPORT_ROW(s, REPORT_PLAIN, way_why(r, v, COST_ALWAYS_ON), way_name(r, p, COST_ALWAYS_ON),
               say_usd_span(r, &v->money, p->ways[COST_ALWAYS_ON]),
               say_usd(r, &v->money, cost_hour(v->prices, l, COST_ALWAYS_ON)), cheaper_from(r, p->even_on));
}

static void report_machine(struct report *r, const struct plan_view *v, struct report_section *s)
{
    const struct plan *p = v->plan;
    const struct price *m = p->machine.price;
    if (isnan(m->value)) {
        REPORT_ROW(s, REPORT_QUIET, _("Compute Engine is in the snapshot for some regions and up to 32 GiB"),
                   _("a VM left running"), _("unknown"), _("unknown"), "");
        return;
    }
    REPORT_ROW(s, REPORT_PLAIN,
               report_text(r, "730 h * %s; %g vCPU, %g GiB; its disk of 10 GB %s a month more (%s)",
                           price_text(r, m->value), m->vcpu, m->ram_gib,
                           say_usd(r, &v->money, p->machine.disk_month), source_text(r, m)),
               report_text(r, "VM left running: %s", m->what + strlen("Compute Engine ")),
               say_usd(r, &v->money, p->machine.month), say_usd(r, &v->money, m->value),
               cheaper_from(r, p->even_machine));
}

static void report_free(struct report *r, const struct plan_view *v, struct report_section *s)
{
    const struct plan *p = v->plan;
    struct free_amounts f = prices_free_requests(v->prices);
    struct run_shape shape = p->chosen->shape;
    if (f.cpu_seconds <= 0 || f.gib_seconds <= 0)
        return;
    double by_cpu = f.cpu_seconds / shape.vcpu, by_memory = f.gib_seconds / shape.gib;
    report_note(
        s,
        report_text(r,
                    "Free each month on a billing account: %s vCPU-seconds, %s GiB-seconds, %s requests. Of "
                    "this instance that is %s, the smaller of the two; it is taken off above.",
                    say_count(r, f.cpu_seconds), say_count(r, f.gib_seconds), say_count(r, f.requests),
                    say_seconds(r, by_cpu < by_memory ? by_cpu : by_memory)));
}

void report_costs(struct report *r, const struct plan_view *v)
{
    const struct plan *p = v->plan;
    if (p->chosen->shape.vcpu == 0)
        return;
    struct report_section *s = report_section(
        r, "costs", report_text(r, "What %s requests a day cost", say_count(r, p->question.requests_per_day)),
        N_("kept how|>a month|>an idle hour|cheaper than scaling to zero from"));
    report_ways(r, v, s);
    report_machine(r, v, s);
    report_note(
        s, report_text(r,
                       "A cold start costs %s, a warm request %s. Of %s requests a day %s come when no "
                       "instance is there, if one is kept the 15 minutes that it may be.",
                       say_usd_span(r, &v->money, p->cold_start_usd),
                       say_usd_span(r, &v->money, p->request_usd), say_count(r, p->question.requests_per_day),
                       say_few(r, cost_cold_starts_per_day(p->question.requests_per_day))));
    if (span_known(p->capacity) && p->question.requests_per_day > p->capacity.least)
        report_note(
            s,
            report_text(r,
                        "One instance answers %s a day one after the other: Cloud Run starts more of them, "
                        "and --parallel lets one answer several at a time.",
                        say_from_span(r, p->capacity)));
    report_free(r, v, s);
    report_note(
        s, "Answers to the internet are some kilobytes each and not counted; their price from this region is "
           "not in the snapshot unless it is us-central1.");
}

/* --- the bucket ---
 */

static const char *class_use(const struct plan_storage *s)
{
    if (s->multi_region)
        return _("several regions; what reading from one of them costs is not known");
    return s->class == STORAGE_STANDARD ? _("beside the service: reading is free")
                                        : _("every start pays for reading it");
}

static void report_staging(struct report *r, const struct plan_view *v, struct report_section *s)
{
    const struct plan *p = v->plan;
    double seconds = (double)p->chosen->encoded.file_bytes * 8 / 100e6;
    report_note(
        s,
        report_text(
            r,
            "Once, to put it there: from here %s (a line of 100 Mbit/s up takes %s), by a Cloud Run job %s, "
            "by a VM for an hour %s. Uploading is free of traffic charges.",
            say_usd(r, &v->money, p->stage_here), say_seconds(r, seconds),
            say_usd(r, &v->money, p->stage_job), say_usd(r, &v->money, p->stage_vm)));
}

static const char *storage_why(struct report *r, const struct plan_view *v, const struct plan_storage *c)
{
    const struct plan *p = v->plan;
    const char *class = storage_class_names[c->class];
    const struct price *held = prices_find(v->prices, "gcs.storage.%s.%s", class, c->location);
    double free_gib = c->class == STORAGE_STANDARD ? prices_free_storage_gib(v->prices, c->location) : 0;
    const char *text =
        report_text(r, "%.2f GiB%s * %s", gib(p->chosen->encoded.file_bytes),
                    free_gib > 0 ? report_text(r, " (%g free)", free_gib) : "", price_text(r, held->value));
    if (c->class != STORAGE_STANDARD)
        text = report_text(r, "%s; each of %.0f reads a month %s a GiB", text,
                           p->cold_starts_per_day * PLAN_MONTH_HOURS / 24,
                           price_text(r, prices_value_in(v->prices, c->location,
                                                         report_text(r, "gcs.retrieval.%s", class))));
    return report_text(r, "%s (%s)", text, source_text(r, held));
}

void report_storage(struct report *r, const struct plan_view *v)
{
    const struct plan *p = v->plan;
    struct report_section *s =
        report_section(r, "storage", "The bucket", N_("location|class|>a month|>with its reads|for what"));
    for (size_t i = 0; i < sizeof p->storage / sizeof *p->storage; i++) {
        const struct plan_storage *c = &p->storage[i];
        REPORT_ROW(s, i == 0 ? REPORT_CHOSEN : REPORT_QUIET, storage_why(r, v, c),
                   report_text(r, "%s (%s)", c->location, c->multi_region ? _("multi-region") : _("region")),
                   storage_class_names[c->class], say_usd(r, &v->money, c->held),
                   say_usd(r, &v->money, c->month), class_use(c));
    }
    REPORT_ROW(s, REPORT_QUIET, _("no price of it in the snapshot"), _("dual-region"), _("standard"),
               _("unknown"), _("unknown"), _("two regions of your choice: outlives one of them"));
    report_staging(r, v, s);
    if (prices_free_storage_gib(v->prices, p->question.region->name) <= 0)
        report_note(
            s, report_text(r,
                           "Nothing of it is free in %s: the 5 GiB-months are those of us-west1, us-central1 "
                           "and us-east1.",
                           p->question.region->place));
}

/* --- GPU ---
 */

static const char *fits_gpu(struct report *r, const struct plan *p, int vram_gb)
{
    uint64_t usable = cost_gpu_usable(vram_gb);
    return report_text(r, "%s %.0f GiB", p->gpu_bytes <= usable ? _("fits") : _("exceeds"), gib(usable));
}

static void report_gpu(struct report *r, const struct plan_view *v, struct report_section *s,
                       const struct cost_gpu *g)
{
    const struct plan *p = v->plan;
    REPORT_ROW(
        s, isnan(g->hour) ? REPORT_QUIET : REPORT_PLAIN,
        report_text(r,
                    "3600 s * (%s + %d vCPU and %d GiB at the instance-based rate), without zonal redundancy",
                    price_text(r, g->gpu_second), g->vcpu, g->gib),
        report_text(r, "Cloud Run %s", g->name), g->region, say_usd(r, &v->money, g->hour),
        say_usd(r, &v->money, g->hour * PLAN_MONTH_HOURS), fits_gpu(r, p, g->vram_gb));
}

static void report_distance(struct report *r, const struct plan *p, struct report_section *s)
{
    const struct region *here = p->question.region, *near = p->near_l4;
    double km = region_km(here, near);
    if (here == near) {
        report_note(s, report_text(r, "%s has L4 on Cloud Run.", here->place));
        return;
    }
    report_note(
        s,
        report_text(
            r,
            "%s has no GPU on Cloud Run; the nearest is %s (%s), %s km away: at least %.0f ms more there "
            "and back. The bucket belongs there too; what bytes between regions cost is not in the snapshot.",
            here->place, near->name, near->place, say_count(r, round(km / 10) * 10),
            region_round_trip_ms(km)));
}

void report_gpus(struct report *r, const struct plan_view *v)
{
    const struct plan *p = v->plan;
    struct report_section *s =
        report_section(r, "gpu", "With a GPU", N_("what|where|>an hour|>a month, always on|as stored"));
    if (p->near_l4 != p->question.region || !isnan(p->l4_near.hour))
        report_gpu(r, v, s, &p->l4_near);
    if (strcmp(p->l4.region, p->l4_near.region) != 0)
        report_gpu(r, v, s, &p->l4);
    report_gpu(r, v, s, &p->rtx);
    const struct cost_machine *m = &p->machine_l4;
    if (!isnan(m->price->value))
        REPORT_ROW(
            s, REPORT_PLAIN,
            report_text(r, "730 h * %s (%s)", price_text(r, m->price->value), source_text(r, m->price)),
            report_text(r, "VM %s (L4)", m->price->what + strlen("Compute Engine ")), m->price->region,
            say_usd(r, &v->money, m->price->value), say_usd(r, &v->money, m->month),
            fits_gpu(r, p, p->l4.vram_gb));
    report_note(
        s,
        report_text(
            r,
            "As stored, with its cache in bf16, it takes %s; about 22 of each 24 GiB of a GPU can be used.",
            say_gib(r, p->gpu_bytes)));
    report_distance(r, p, s);
    report_note(
        s,
        "Ferry's own engine computes on CPUs; a GPU is for another server, started by `ferry exec`. On Cloud "
        "Run its instance is paid as long as it is there, 15 minutes behind the last request too.");
}

/* --- elsewhere ---
 */

void report_elsewhere(struct report *r, const struct plan_view *v)
{
    static const char *const verdicts[] = {
        [AWS_NO] = N_("no"), [AWS_YES] = N_("possible"), [AWS_UNKNOWN] = N_("unknown")};
    const struct plan *p = v->plan;
    if (!v->compare)
        return;
    struct report_section *s = report_section(r, "elsewhere", "On Amazon instead",
                                              N_("what||>a month, running|idle|the limit that counts"));
    for (int i = 0; i < AWS_PLACES; i++) {
        const struct aws_place *a = &p->aws[i];
        REPORT_ROW(s,
                   a->verdict == AWS_NO        ? REPORT_BAD
                   : a->verdict == AWS_UNKNOWN ? REPORT_QUIET
                                               : REPORT_PLAIN,
                   NULL, a->name, tr(verdicts[a->verdict]),
                   a->verdict == AWS_NO ? ""
                   : isnan(a->usd_month)
                       ? _("unknown")
                       : report_text(r, "%s (%s)", say_usd(r, &v->money, a->usd_month), a->region),
                   a->idle, a->why);
    }
    report_note(
        s, "Limits: API models of 2025-06-20. Prices for Tokyo, of SageMaker and of Fargate are not in the "
           "snapshot; nothing was guessed.");
}
