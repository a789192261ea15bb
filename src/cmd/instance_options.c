#include "cmd/instance_options.h"

#include "cmd/plan_model.h"
#include "net/retry.h"

static const struct option rows[] = {
    {.name = "image",
     .type = OPTION_TEXT,
     .argument = "IMAGE",
     .offset = offsetof(struct instance_settings, image),
     .help = "the container's image, as `ferry image push` has put it: REGISTRY/REPOSITORY[:TAG]"},
    {.name = "cpus",
     .type = OPTION_INT,
     .argument = "N",
     .min = 1,
     .max = 256,
     .offset = offsetof(struct instance_settings, vcpu),
     .help = "vCPUs of an instance; what `ferry plan` says of the model unless told"},
    {.name = "min-instances",
     .type = OPTION_INT,
     .argument = "N",
     .preset = "0",
     .max = 1000,
     .offset = offsetof(struct instance_settings, min_instances),
     .help = "instances kept while nobody asks; above 0 they are called ready when the model is loaded"},
    {.name = "max-instances",
     .type = OPTION_INT,
     .argument = "N",
     .min = 1,
     .max = 1000,
     .offset = offsetof(struct instance_settings, max_instances),
     .help = "most instances at a time; unless told 3 on Cloud Run, elsewhere what the platform allows"},
    {.name = "timeout",
     .type = OPTION_INT,
     .argument = "SECONDS",
     .min = 1,
     .max = RUN_TIMEOUT_SECONDS,
     .offset = offsetof(struct instance_settings, timeout_seconds),
     .help = "of a request, with its wait for the model; what `ferry plan` says unless told"},
    {.name = "service-account",
     .type = OPTION_TEXT,
     .argument = "ACCOUNT",
     .offset = offsetof(struct instance_settings, service_account),
     .help = "whom the service is, to the bucket; unless told one that is made for it, on a cluster the "
             "default one"},
    {.name = "key-secret",
     .type = OPTION_TEXT,
     .argument = "NAME[:KEY]",
     .offset = offsetof(struct instance_settings, key_secret),
     .help = "the secret that holds the API key that clients must send, and its key or version (latest)"},
};

const struct option_group instance_group = {"Instances", rows, sizeof rows / sizeof *rows};

/* Somebody waits for a few lines: without a network he is told so soon. */
static const struct retry_policy impatient = {
    .first_ms = 500, .cap_ms = 2000, .max_tries = 3, .max_seconds = 10, .longest_wait_s = 30};

static const struct plan_measured unmeasured = {NAN, NAN};

/* Requests as `ferry plan` takes them when nothing is said, so that both say the same. */
static bool ask(struct plan_question *q, const struct instance_settings *s, const struct plan_model *m,
                struct err *e)
{
    static const enum plan_kv kinds[] = {
        [KV_AUTO] = PLAN_KV_BF16, [KV_BF16] = PLAN_KV_BF16, [KV_Q8] = PLAN_KV_Q8, [KV_F32] = PLAN_KV_F32};
    const struct engine_settings *g = &s->service.engine;
    bool exact = g->kv == KV_AUTO && g->math == MATH_EXACT;
    *q = (struct plan_question){.region = region_find(REGION_DEFAULT),
                                .requests_per_day = 100,
                                .audio_seconds = m->runs && m->config.family == MODEL_QWEN2_AUDIO ? 10 : 0,
                                .answer_tokens = 128,
                                .min_instances = s->min_instances,
                                .context = g->context,
                                .parallel = s->service.parallel,
                                .kv = exact ? PLAN_KV_F32 : kinds[g->kv],
                                .vcpu = s->vcpu};
    return m->runs || err_set(e, ERR_UNSUPPORTED, "Ferry's engine does not run this model");
}

/* What is known of the service before its rules are applied. */
struct known {
    struct run_shape shape;
    bool cpu_idle;
    struct span load, answer;
};

bool instance_fits(const struct instance_settings *s, struct run_shape shape, uint64_t needed_bytes,
                   uint64_t memory_bytes, struct err *e)
{
    int gib = run_gib_for(needed_bytes);
    if (memory_bytes)
        return memory_bytes >= needed_bytes ||
               err_set(e, ERR_USAGE,
                       "--memory: it needs %d GiB; to try it with less all the same, give --cpus too", gib);
    if (shape.vcpu)
        return true;
    if (s->vcpu && gib <= RUN_MOST_GIB)
        return err_set(
            e, ERR_USAGE,
            "--cpus %d: it needs %d GiB, which Cloud Run has with other numbers of vCPUs; elsewhere give "
            "--memory too",
            s->vcpu, gib);
    return err_set(
        e, ERR_LIMIT,
        "it needs %d GiB of memory for %d requests at a time, and Cloud Run has %d: --parallel, --context "
        "and --kv q8 make it less, `ferry stage --encode q8_0` too; for a cluster give --cpus and --memory",
        gib, s->service.parallel, RUN_MOST_GIB);
}

/* From the headers of the files. */
static bool read_and_plan(struct plan *p, struct model_reading *reading, const struct instance_settings *s,
                          const char *model, struct arena *a, struct err *e)
{
    struct plan_question q;
    struct prices *prices = prices_builtin(e);
    struct stores *stores = prices ? stores_new(0, e) : NULL;
    if (stores)
        stores_retry(stores, &impatient);
    bool ok = stores && model_read(reading, stores, model, a, e) && ask(&q, s, &reading->model, e) &&
              plan_make(p, &reading->model, &q, &unmeasured, prices, a, e);
    model_reading_clear(reading);
    stores_free(stores);
    prices_free(prices);
    return ok;
}

static bool know_model(struct known *k, const struct instance_settings *s, const char *model,
                       uint64_t memory_bytes, struct arena *a, struct err *e)
{
    struct plan *p = arena_alloc(a, 1, sizeof *p);
    struct model_reading *reading = arena_alloc(a, 1, sizeof *reading);
    if (!p || !reading)
        return err_set(e, ERR_MEMORY, "no memory for the plan");
    if (!read_and_plan(p, reading, s, model, a, e) ||
        !instance_fits(s, p->service.shape, p->chosen->memory_bytes, memory_bytes, e))
        return err_wrap(e, "what it needs, if --cpus and --memory do not say it");
    *k = (struct known){p->service.shape, p->service.cpu_idle, p->chosen->cold.loaded,
                        p->chosen->answer.total};
    if (s->vcpu)
        k->shape.vcpu = s->vcpu;
    return true;
}

bool instance_plan(struct run_service *out, const struct instance_settings *s, const char *model,
                   uint64_t memory_bytes, struct arena *a, struct err *e)
{
    struct known k = {{s->vcpu, 0}, true, span_unknown(), span_unknown()};
    bool told = s->vcpu && memory_bytes;
    if (!told && !know_model(&k, s, model, memory_bytes, a, e))
        return false;
    bool gate = s->service.start == START_GATE || run_start_for(s->min_instances) == RUN_GATE;
    struct run_wish w = {k.shape, s->service.parallel, k.cpu_idle, gate ? RUN_GATE : RUN_STREAM};
    *out = run_service_for(&w, k.load, k.answer);
    if (s->timeout_seconds)
        out->timeout_s = s->timeout_seconds;
    return true;
}
