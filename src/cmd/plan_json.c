/* plan_json.c: a plan for programs. docs/plan.md describes each member. */
#include "cmd/plan_command.h"

#include <math.h>
#include <string.h>

static json_t *number(double n)
{
    return isfinite(n) ? json_real(n) : json_null();
}

/* [least, most] */
static json_t *span(struct span s)
{
    return json_pack("[o, o]", number(s.least), number(s.most));
}

static json_t *bytes(uint64_t n)
{
    return json_integer((json_int_t)n);
}

static json_t *text_or_null(const char *s)
{
    return s ? json_string(s) : json_null();
}

/* --- what it is --- */

static json_t *types_json(const struct census *c)
{
    json_t *types = json_object();
    for (int i = 0; i < c->type_count; i++)
        json_object_set_new(types, c->types[i].name, bytes(c->types[i].bytes));
    return types;
}

static json_t *model_json(const struct model_reading *m)
{
    const struct census *c = &m->model.census;
    return json_pack("{s:s, s:o, s:s, s:b, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o}", "source", m->uri,
                     "commit", text_or_null(m->commit), "model_type", m->model.outline.type, "ferry_runs_it",
                     m->model.runs, "why_not", text_or_null(m->why_not), "from_config_alone",
                     m->model.from_config, "parameters", bytes(c->parameters), "tensors", bytes(c->tensors),
                     "files", bytes(c->files), "file_bytes", bytes(c->file_bytes), "bytes_by_dtype",
                     types_json(c), "bytes_read", bytes(m->bytes_read));
}

static json_t *question_json(const struct plan_question *q)
{
    return json_pack("{s:s, s:f, s:f, s:i, s:i, s:i, s:i, s:s}", "region", q->region->name,
                     "requests_per_day", q->requests_per_day, "audio_seconds", q->audio_seconds,
                     "answer_tokens", q->answer_tokens, "min_instances", q->min_instances, "context",
                     q->context, "parallel", q->parallel, "kv", plan_kv_names[q->kv]);
}

/* --- encodings --- */

static json_t *memory_json(const struct plan_option *o)
{
    const struct plan_memory *m = &o->memory;
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "weights", bytes(m->weights), "kv_cache",
                     bytes(m->kv), "scratch", bytes(m->scratch), "recordings", bytes(m->requests), "fetching",
                     bytes(m->window), "program", bytes(m->process), "total", bytes(o->memory_bytes));
}

static json_t *shape_json(struct run_shape s)
{
    return s.vcpu ? json_pack("{s:i, s:i}", "vcpu", s.vcpu, "gib", s.gib) : json_null();
}

static json_t *option_json(const struct plan_option *o)
{
    const struct cold_start *c = &o->cold;
    const struct plan_answer *a = &o->answer;
    json_t *cold =
        json_pack("{s:o, s:o, s:o, s:o}", "first_token", span(c->first_token), "loaded", span(c->loaded),
                  "answered", span(c->answered), "if_it_loaded_first", span(c->load_first));
    json_t *answer = json_pack("{s:o, s:o, s:o, s:o}", "hears", span(a->encode), "reads", span(a->prefill),
                               "token", span(a->token), "request", span(a->total));
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "encoding", o->encoded.name,
                     "file_bytes", bytes(o->encoded.file_bytes), "token_bytes",
                     bytes(encoded_token_bytes(&o->encoded)), "memory_bytes", memory_json(o),
                     "smallest_shape", shape_json(o->least), "shape", shape_json(o->shape),
                     "cold_start_seconds", cold, "seconds", answer, "usd_month", span(o->month));
}

static json_t *options_json(const struct plan *p)
{
    json_t *list = json_array();
    for (int i = 0; i < PLAN_ENCODINGS; i++)
        if (p->options[i].possible)
            json_array_append_new(list, option_json(&p->options[i]));
    return list;
}

/* --- money --- */

static const char *const way_keys[COST_WAYS] = {
    [COST_SCALE_TO_ZERO] = "scale_to_zero",
    [COST_MIN_INSTANCES] = "min_instances",
    [COST_INSTANCE_BASED] = "instance_based",
    [COST_ALWAYS_ON] = "always_on",
};

static json_t *costs_json(const struct plan *p)
{
    json_t *ways = json_object();
    for (int w = 0; w < COST_WAYS; w++)
        json_object_set_new(ways, way_keys[w], span(p->ways[w]));
    json_t *machine =
        json_pack("{s:s, s:o}", "what", p->machine.price->what, "usd_month", number(p->machine.month));
    json_t *even = json_pack("{s:o, s:o, s:o}", "min_instances", span(p->even_min), "always_on",
                             span(p->even_on), "machine", span(p->even_machine));
    return json_pack("{s:o, s:o, s:o, s:o, s:f, s:o, s:o}", "usd_month", ways, "machine", machine,
                     "usd_cold_start", span(p->cold_start_usd), "usd_request", span(p->request_usd),
                     "cold_starts_per_day", p->cold_starts_per_day, "cheaper_from_requests_per_day", even,
                     "requests_per_day_at_most", span(p->capacity));
}

static json_t *storage_json(const struct plan *p)
{
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof p->storage / sizeof *p->storage; i++) {
        const struct plan_storage *s = &p->storage[i];
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o, s:o}", "location", s->location, "type",
                                              s->multi_region ? "multi-region" : "region", "class",
                                              storage_class_names[s->class], "usd_month", number(s->held),
                                              "usd_month_with_reads", number(s->month)));
    }
    return list;
}

static json_t *gpu_json(const struct cost_gpu *g, bool fits)
{
    return json_pack("{s:s, s:s, s:o, s:b}", "gpu", g->name, "region", g->region, "usd_hour", number(g->hour),
                     "fits_as_stored", fits);
}

static json_t *gpus_json(const struct plan *p)
{
    double km = region_km(p->question.region, p->near_l4);
    json_t *list = json_pack("[o, o, o]", gpu_json(&p->l4_near, p->fits_l4), gpu_json(&p->l4, p->fits_l4),
                             gpu_json(&p->rtx, p->fits_rtx));
    json_t *machine = json_pack("{s:s, s:o}", "what", p->machine_l4.price->what, "usd_hour",
                                number(p->machine_l4.price->value));
    return json_pack("{s:o, s:s, s:f, s:f, s:o, s:o}", "bytes", bytes(p->gpu_bytes), "nearest_region",
                     p->near_l4->name, "nearest_km", km, "round_trip_ms_at_least", region_round_trip_ms(km),
                     "cloud_run", list, "machine", machine);
}

/* --- the rest --- */

static json_t *service_json(const struct run_service *s)
{
    json_t *probe =
        json_pack("{s:i, s:i, s:i, s:i, s:b}", "initial_delay_seconds", s->probe.initial_delay_s,
                  "period_seconds", s->probe.period_s, "failure_threshold", s->probe.failure_threshold,
                  "timeout_seconds", s->probe.timeout_s, "within_what_is_documented", s->probe.enough);
    return json_pack("{s:o, s:i, s:i, s:b, s:s, s:o}", "shape", shape_json(s->shape), "concurrency",
                     s->concurrency, "timeout_seconds", s->timeout_s, "cpu_idle", s->cpu_idle, "start",
                     s->start == RUN_STREAM ? "stream" : "gate", "startup_probe", probe);
}

static json_t *elsewhere_json(const struct plan *p)
{
    static const char *const verdicts[] = {
        [AWS_NO] = "no", [AWS_YES] = "possible", [AWS_UNKNOWN] = "unknown"};
    json_t *list = json_array();
    for (int i = 0; i < AWS_PLACES; i++) {
        const struct aws_place *a = &p->aws[i];
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o, s:s}", "what", a->name, "possible",
                                              verdicts[a->verdict], "why", a->why, "usd_month",
                                              number(a->usd_month), "region", a->region));
    }
    return list;
}

static json_t *measured_json(const struct measurements *m)
{
    static const char *const whats[] = {[MEASURED_FETCH] = "fetch", [MEASURED_MEMORY] = "memory"};
    json_t *list = json_array();
    for (int i = 0; i < m->count; i++) {
        const struct measurement *one = &m->items[i];
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:f, s:i, s:s}", "what", whats[one->what],
                                              "where", one->where, "from", one->from, "bytes_per_second",
                                              one->per_second, "cores", one->cores, "date", one->date));
    }
    return list;
}

static json_t *prices_json(const struct plan_view *v)
{
    const struct price_news *n = v->news;
    json_t *catalog =
        n->asked ? json_pack("{s:s, s:i, s:s}", "date", n->date, "prices", n->found, "not_found", n->others)
                 : json_null();
    return json_pack("{s:s, s:s, s:o, s:o}", "from", v->prices_from ? v->prices_from : "built in",
                     "newest_source", prices_date(v->prices), "yen_per_usd",
                     v->money.yen_per_usd > 0 ? json_real(v->money.yen_per_usd) : json_null(), "catalog",
                     catalog);
}

json_t *plan_json(const struct plan_view *v)
{
    const struct plan *p = v->plan;
    json_t *prices = prices_json(v);
    json_t *others = json_pack("{s:o, s:o}", "tmp_then_load", bytes(p->tmp_then_load), "shard_by_shard",
                               bytes(p->shard_by_shard));
    json_t *once = json_pack("{s:o, s:o, s:o}", "here", number(p->stage_here), "job", number(p->stage_job),
                             "vm", number(p->stage_vm));
    json_t *all =
        json_pack("{s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "model",
                  model_json(v->reading), "question", question_json(&p->question), "chosen",
                  p->chosen->encoded.name, "encodings", options_json(p), "other_ways_memory_bytes", others,
                  "costs", costs_json(p), "storage", storage_json(p), "usd_once_to_stage", once, "gpu",
                  gpus_json(p), "service", service_json(&p->service), "measured", measured_json(v->measured),
                  "predictions", predictions_json(v->predictions), "prices", prices);
    if (all && v->compare)
        json_object_set_new(all, "elsewhere", elsewhere_json(p));
    return all;
}
