#include "plan/plan.h"

#include "base/catalog.h"

#include <string.h>

static const double month_days = PLAN_MONTH_HOURS / 24;

/* --- one option ------------------------------------------------------------------------------------------
 */

static struct plan_engine engine_of(const struct plan_question *q)
{
    int pass = PLAN_PASS_ARRIVING < q->context ? PLAN_PASS_ARRIVING : q->context;
    return (struct plan_engine){.context = q->context,
                                .parallel = q->parallel,
                                .kv = q->kv,
                                .threads = RUN_MOST_VCPU,
                                .pass = pass < PLAN_PASS ? PLAN_PASS : pass};
}

static struct plan_speed speed_of(int vcpu, const struct plan_measured *measured)
{
    struct plan_speed s = plan_speed_assumed(vcpu);
    if (!isnan(measured->memory_per_vcpu))
        s.memory = span_of(measured->memory_per_vcpu * vcpu);
    if (!isnan(measured->fetch))
        s.fetch = span_of(measured->fetch);
    return s;
}

static bool reads_along(const struct plan *p, const struct plan_option *o, int vcpu,
                        const struct plan_measured *measured)
{
    struct plan_speed s = speed_of(vcpu, measured);
    int length = plan_prompt_tokens(&p->model.config, &p->request);
    struct span token = plan_token_seconds(&p->model.config, &o->encoded, p->question.kv, length, 1, &s);
    return 1 / span_middle(token) >= PLAN_READING_TOKENS;
}

/* The fewest vCPUs that hold it and answer as fast as one reads, else the most there are. */
static struct run_shape choose_shape(const struct plan *p, const struct plan_option *o,
                                     const struct plan_measured *measured)
{
    struct run_shape least, most, largest = o->least;
    if (p->question.vcpu || o->least.vcpu == 0)
        return run_shape_for(o->memory_bytes, p->question.vcpu);
    for (int n = 0; run_shape_limits(n, &least, &most); n++) {
        struct run_shape s = run_shape_for(o->memory_bytes, least.vcpu);
        if (s.vcpu == 0)
            continue;
        largest = s;
        if (p->model.runs && reads_along(p, o, s.vcpu, measured))
            return s;
    }
    return largest;
}

static void price_option(struct plan *p, struct plan_option *o, const struct prices *prices)
{
    const struct plan_question *q = &p->question;
    o->load = (struct cost_load){
        .shape = o->shape,
        .tier = p->tier,
        .requests_per_day = q->requests_per_day,
        .answer_s = o->answer.total,
        .cold_s = o->cold.answered,
        .start_reads = ceil((double)o->encoded.file_bytes / PLAN_RANGE_BYTES),
    };
    enum cost_way way = q->min_instances ? COST_MIN_INSTANCES : COST_SCALE_TO_ZERO;
    o->month = o->shape.vcpu ? cost_month(prices, &o->load, way, q->min_instances) : span_unknown();
}

/* Of a model that the engine runs: o->encoded is there. */
static void plan_option(struct plan *p, struct plan_option *o, const struct plan_measured *measured,
                        const struct prices *prices)
{
    const struct plan_question *q = &p->question;
    const struct model_config *c = &p->model.config;
    struct plan_engine g = engine_of(q);
    o->possible = true;
    o->memory = plan_memory(c, &g, o->encoded.file_bytes, q->audio_seconds);
    o->memory_bytes = plan_memory_total(&o->memory);
    o->least = run_shape_for(o->memory_bytes, 0);
    o->shape = choose_shape(p, o, measured);
    o->speed = speed_of(o->shape.vcpu ? o->shape.vcpu : RUN_MOST_VCPU, measured);
    o->answer = plan_answer(c, &o->encoded, q->kv, &p->request, &o->speed);
    o->cold = cold_start(c, &o->encoded, q->kv, &p->request, &o->speed);
    price_option(p, o, prices);
}

/* Of one that another server runs: what its weights and its cache take, without that server itself. */
static void plan_foreign(struct plan *p, const struct plan_measured *measured, const struct prices *prices)
{
    struct plan_option *o = &p->options[PLAN_STORED];
    const struct model_outline *l = &p->model.outline;
    struct plan_engine g = engine_of(&p->question);
    const struct census *c = &p->model.census;
    o->possible = true;
    o->encoded =
        (struct encoded){.name = N_("as stored"), .file_bytes = c->file_bytes, .tensor_bytes = c->bytes};
    o->memory.weights = c->file_bytes;
    if (l->plain_cache)
        o->memory.kv = plan_kv_bytes(l->layers, l->kv_heads, l->head_dim, &g);
    o->memory_bytes = plan_memory_total(&o->memory);
    o->least = run_shape_for(o->memory_bytes, 0);
    o->shape = choose_shape(p, o, measured);
    o->speed = speed_of(o->shape.vcpu ? o->shape.vcpu : RUN_MOST_VCPU, measured);
    o->answer = (struct plan_answer){span_unknown(), span_unknown(), span_unknown(), span_unknown()};
    o->cold = cold_start_pull(c->file_bytes, &o->speed);
    price_option(p, o, prices);
}

static bool plan_options(struct plan *p, const struct plan_measured *measured, const struct prices *prices,
                         struct arena *a, struct err *e)
{
    static const enum pack_encoding packs[PLAN_ENCODINGS] = {
        [PLAN_BF16] = PACK_BF16, [PLAN_Q8_0] = PACK_Q8_0, [PLAN_Q4_0] = PACK_Q4_0};
    const struct plan_model *m = &p->model;
    if (!m->runs) {
        plan_foreign(p, measured, prices);
        return true;
    }
    encoded_stored(&p->options[PLAN_STORED].encoded, m->weights, &m->config, m->dtypes, m->census.file_bytes);
    plan_option(p, &p->options[PLAN_STORED], measured, prices);
    for (int i = PLAN_BF16; i < PLAN_ENCODINGS && !m->census.encoded; i++) {
        struct plan_option *o = &p->options[i];
        if (!encoded_pack(&o->encoded, m->weights, &m->config, m->dtypes, packs[i], a, e))
            return false;
        plan_option(p, o, measured, prices);
    }
    return true;
}

/* --- of the chosen one -----------------------------------------------------------------------------------
 */

static void plan_ways(struct plan *p, const struct prices *prices)
{
    const struct plan_option *o = p->chosen;
    const struct plan_question *q = &p->question;
    for (int w = 0; w < COST_WAYS; w++)
        p->ways[w] =
            o->shape.vcpu ? cost_month(prices, &o->load, (enum cost_way)w, q->min_instances) : span_unknown();
    p->cold_starts_per_day = q->min_instances ? 0 : cost_cold_starts_per_day(q->requests_per_day);
    p->cold_start_usd = cost_cold_start(prices, &o->load);
    p->request_usd = cost_request(prices, &o->load);
    p->capacity = cost_capacity(&o->load);
    p->machine = cost_machine_for(prices, q->region->name, o->shape.vcpu, run_gib_for(o->memory_bytes));
    p->even_min = cost_break_even_way(prices, &o->load, COST_MIN_INSTANCES, 1);
    p->even_on = cost_break_even_way(prices, &o->load, COST_ALWAYS_ON, 1);
    p->even_machine = cost_break_even(prices, &o->load, span_of(p->machine.month));
}

static void plan_gpu(struct plan *p, const struct prices *prices)
{
    const struct region *here = p->question.region;
    const struct plan_option *stored = &p->options[PLAN_STORED];
    struct plan_engine g = engine_of(&p->question);
    const struct model_outline *l = &p->model.outline;
    const struct text_config *t = &p->model.config.text;
    g.kv = PLAN_KV_BF16;
    p->gpu_bytes = stored->encoded.tensor_bytes;
    if (p->model.runs)
        p->gpu_bytes += plan_kv_bytes(t->layers, t->kv_heads, t->head_dim, &g);
    else if (l->plain_cache)
        p->gpu_bytes += plan_kv_bytes(l->layers, l->kv_heads, l->head_dim, &g);
    p->near_l4 = region_nearest_l4(here);
    p->l4 = cost_gpu_l4(prices, NULL);
    p->l4_near = cost_gpu_l4(prices, p->near_l4->name);
    p->rtx = cost_gpu_rtx_pro_6000(prices, NULL);
    p->machine_l4 = cost_machine_l4(prices, here->name, 0);
    p->fits_l4 = p->gpu_bytes <= cost_gpu_usable(p->l4.vram_gb);
    p->fits_rtx = p->gpu_bytes <= cost_gpu_usable(p->rtx.vram_gb);
}

static const char *multi_region(const char *region)
{
    return strncmp(region, "asia", 4) == 0 ? "asia" : strncmp(region, "europe", 6) == 0 ? "eu" : "us";
}

static void plan_storages(struct plan *p, const struct prices *prices)
{
    const char *region = p->question.region->name;
    uint64_t bytes = p->chosen->encoded.file_bytes;
    double reads = p->cold_starts_per_day * month_days;
    for (int i = 0; i <= STORAGE_CLASSES; i++) {
        struct plan_storage *s = &p->storage[i];
        s->class = i < STORAGE_CLASSES ? (enum storage_class)i : STORAGE_STANDARD;
        s->location = i < STORAGE_CLASSES ? region : multi_region(region);
        s->multi_region = i == STORAGE_CLASSES;
        s->held = cost_storage(prices, s->location, s->class, bytes, 0);
        s->month = s->multi_region ? NAN : cost_storage(prices, s->location, s->class, bytes, reads);
    }
}

/* Billing by the cheaper of the two that are kept the same way; by requests where that is not known. */
static void plan_service(struct plan *p)
{
    const struct plan_option *o = p->chosen;
    bool warm = p->question.min_instances > 0;
    double by_requests = span_middle(p->ways[warm ? COST_MIN_INSTANCES : COST_SCALE_TO_ZERO]);
    double by_instance = span_middle(p->ways[warm ? COST_ALWAYS_ON : COST_INSTANCE_BASED]);
    struct run_wish w = {.shape = o->shape,
                         .parallel = p->question.parallel,
                         .cpu_idle = !(by_instance < by_requests),
                         .start = run_start_for(p->question.min_instances)};
    p->service = run_service_for(&w, o->cold.loaded, o->answer.total);
}

static bool fill_context(struct plan *p, struct err *e)
{
    int most = p->model.runs ? p->model.config.text.max_positions : p->model.outline.max_positions;
    if (most && p->question.context > most)
        return err_set(e, ERR_USAGE, "--context %d: the model was made for at most %d tokens",
                       p->question.context, most);
    if (p->question.context == 0)
        p->question.context = most;
    return true;
}

bool plan_make(struct plan *p, const struct plan_model *m, const struct plan_question *q,
               const struct plan_measured *measured, const struct prices *prices, struct arena *a,
               struct err *e)
{
    *p = (struct plan){.model = *m, .question = *q, .tier = prices_tier(prices, q->region->name)};
    p->request = (struct plan_request){q->audio_seconds, PLAN_TEXT_TOKENS, q->answer_tokens};
    p->fetch_measured = !isnan(measured->fetch);
    p->memory_measured = !isnan(measured->memory_per_vcpu);
    if (!fill_context(p, e) || !plan_options(p, measured, prices, a, e))
        return false;
    p->chosen = &p->options[q->encoding];
    if (!p->chosen->possible)
        return err_set(e, ERR_USAGE, "--encode: %s, so it is planned as stored",
                       m->runs ? _("the model is encoded already")
                               : _("Ferry's own engine does not run this model"));
    plan_ways(p, prices);
    plan_gpu(p, prices);
    plan_storages(p, prices);
    plan_service(p);
    p->tmp_then_load = plan_memory_tmp_then_load(m->census.file_bytes);
    p->shard_by_shard = plan_memory_shard_by_shard(m->census.file_bytes, m->census.largest_file);
    p->stage_here = cost_stage_here(prices, p->chosen->encoded.file_bytes);
    p->stage_job = cost_stage_job(prices, p->tier);
    p->stage_vm = cost_stage_vm(prices, q->region->name);
    aws_places(p->aws, prices, p->chosen->memory_bytes, p->gpu_bytes);
    return true;
}

struct plan_serving plan_serving(const struct plan_model *m, const struct plan_question *q,
                                 const struct plan_measured *measured)
{
    struct plan_question asked = *q;
    struct plan_request request = {q->audio_seconds, PLAN_TEXT_TOKENS, q->answer_tokens};
    struct plan_speed speed = speed_of(q->vcpu, measured);
    struct encoded n;
    if (asked.context == 0)
        asked.context = m->config.text.max_positions;
    struct plan_engine g = engine_of(&asked);
    encoded_stored(&n, m->weights, &m->config, m->dtypes, m->census.file_bytes);
    struct plan_memory memory = plan_memory(&m->config, &g, n.file_bytes, q->audio_seconds);
    return (struct plan_serving){.encoding = m->census.types[0].name,
                                 .cold = cold_start(&m->config, &n, q->kv, &request, &speed),
                                 .answer = plan_answer(&m->config, &n, q->kv, &request, &speed),
                                 .memory = {(double)n.file_bytes, (double)plan_memory_total(&memory)}};
}

struct span plan_month_at(const struct plan *p, const struct prices *prices, enum cost_way way,
                          double requests_per_day)
{
    struct cost_load l = p->chosen->load;
    l.requests_per_day = requests_per_day;
    return cost_month(prices, &l, way, p->question.min_instances);
}

double plan_storage_month(const struct plan *p)
{
    return p->storage[0].month;
}
