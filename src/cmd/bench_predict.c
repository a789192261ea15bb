/* bench_predict.c: what a plan says of the service that was asked, beside what came. */
#include "cmd/bench.h"

#include "cmd/cores.h"
#include "cmd/plan_measure.h"
#include "cmd/plan_model.h"
#include "cmd/plan_state.h"
#include "cmd/prediction_report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Of the instance, or of this machine. */
static int cores_of(const struct target_service *s)
{
    return s->region && s->vcpu ? s->vcpu : cores_allowed();
}

static struct prediction_of about(const struct target_service *s, const char *encoding)
{
    struct prediction_of of = {.vcpu = cores_of(s), .gib = (int)(s->memory_limit_bytes >> 30)};
    plan_state_date(of.date);
    plan_state_copy(of.service, sizeof of.service, s->name);
    plan_state_copy(of.model, sizeof of.model, s->model);
    if (s->region)
        snprintf(of.where, sizeof of.where, "cloud-run %.40s", s->region);
    else
        strcpy(of.where, "here");
    snprintf(of.encoding, sizeof of.encoding, "%s", encoding);
    return of;
}

/* Of this machine, or of the service's region. */
static struct plan_measured measured_where_it_is(const struct target_service *s,
                                                 const struct measurements *all)
{
    const struct measurement *memory = measurements_find(all, MEASURED_MEMORY, "here", "");
    if (s->region)
        return measurements_there(all, s->region);
    return (struct plan_measured){.fetch = NAN,
                                  .memory_per_vcpu = memory ? memory->per_second / memory->cores : NAN};
}

static void compare(struct predictions *out, const struct prediction_of *of, const struct plan_serving *x,
                    const struct bench_result *b, bool in_cloud)
{
    const struct bench_point *alone = bench_find(b, &(struct bench_point){.kind = BENCH_CLOSED, .level = 1});
    const struct bench_point *cold = bench_find(b, &(struct bench_point){.kind = BENCH_COLD});
    if (alone) {
        prediction_compare(out, of, PREDICTED_FIRST_TOKEN, span_add(x->answer.encode, x->answer.prefill),
                           alone->first_ms.p50 * 1e-3);
        prediction_compare(out, of, PREDICTED_TOKENS, span_divides(1, x->answer.token),
                           alone->tokens_per_second.p50);
    }
    if (cold && in_cloud)
        prediction_compare(out, of, PREDICTED_COLD_FIRST_TOKEN, x->cold.first_token,
                           cold->first_ms.p50 * 1e-3);
}

static struct plan_serving expect(const struct model_reading *m, const struct target_service *s,
                                  const struct bench_result *b, int slots, const struct measurements *all)
{
    struct plan_question q = {.audio_seconds = b->audio_seconds,
                              .answer_tokens = b->max_tokens,
                              .parallel = slots,
                              .vcpu = cores_of(s)};
    struct plan_measured measured = measured_where_it_is(s, all);
    return plan_serving(&m->model, &q, &measured);
}

bool bench_predict(const struct bench_result *b, const struct target_service *s,
                   const struct service_metrics *now, struct predictions *out, struct arena *a, struct err *e)
{
    struct model_reading m = {0};
    struct measurements *all = arena_alloc(a, 1, sizeof *all);
    struct stores *stores = stores_new(0, e);
    bool ok = stores && (all || err_set(e, ERR_MEMORY, "no memory")) && measurements_read(all, a, e) &&
              model_read(&m, stores, s->model, a, e) &&
              (m.model.runs || err_set(e, ERR_UNSUPPORTED, "%s", m.why_not ? m.why_not : "another model"));
    if (ok) {
        struct plan_serving x =
            expect(&m, s, b, now->slots >= 1 && now->slots <= 1024 ? (int)now->slots : 1, all);
        struct prediction_of of = about(s, x.encoding);
        compare(out, &of, &x, b, s->region != NULL);
        prediction_compare(out, &of, PREDICTED_MEMORY, x.memory, now->resident_bytes);
    }
    model_reading_clear(&m);
    stores_free(stores);
    return ok;
}
