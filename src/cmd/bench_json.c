/* bench_json.c: what was measured as JSON, and back. */
#include "cmd/bench.h"

#include <math.h>
#include <string.h>

static json_t *number(double n)
{
    return isnan(n) ? json_null() : json_real(n);
}

static json_t *percentiles(const struct bench_percentiles *p)
{
    return json_pack("{s:o, s:o, s:o}", "p50", number(p->p50), "p90", number(p->p90), "p99", number(p->p99));
}

static json_t *point(const struct bench_point *p)
{
    double speed = p->seconds > 0 ? p->tokens / p->seconds : NAN;
    return json_pack("{s:s, s:f, s:i, s:i, s:s?, s:f, s:f, s:f, s:o, s:o, s:o, s:o, s:o}", "kind",
                     bench_kind_names[p->kind], "level", p->level, "requests", p->requests, "failed",
                     p->failed, "failure", *p->failure ? p->failure : NULL, "seconds", p->seconds,
                     "busy_seconds", p->busy_seconds, "tokens", p->tokens, "first_token_ms",
                     percentiles(&p->first_ms), "total_ms", percentiles(&p->total_ms), "tokens_per_second",
                     percentiles(&p->tokens_per_second), "tokens_per_second_together", number(speed),
                     "usd_per_1000", number(p->usd_per_1000));
}

json_t *bench_json(const struct bench_result *r)
{
    json_t *points = json_array();
    for (int i = 0; i < r->count; i++)
        json_array_append_new(points, point(&r->points[i]));
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:f, s:i, s:{s:i, s:i, s:s, s:s}, s:o}", "object", "bench",
                     "ferry", r->ferry, "date", r->date, "service", r->service, "model", r->model,
                     "audio_seconds", r->audio_seconds, "max_tokens", r->max_tokens, "instance", "vcpu",
                     r->shape.vcpu, "gib", r->shape.gib, "region", r->region, "prices", r->prices, "points",
                     points);
}

/* --- and back --- */

/* Reads one object's fields; the first that is not as it should be is told. */
struct reading {
    const json_t *object;
    const char *where;
    struct err *e;
    bool ok;
};

static void bad(struct reading *r, const char *field, const char *expected)
{
    if (r->ok)
        err_set(r->e, ERR_CORRUPT, "%s%s: expected %s", r->where, field, expected);
    r->ok = false;
}

static void text(struct reading *r, const char *field, char out[BENCH_TEXT])
{
    const char *value = json_string_value(json_object_get(r->object, field));
    if (!value || strlen(value) >= BENCH_TEXT)
        bad(r, field, "a short text");
    else
        strcpy(out, value);
}

/* null is NAN, where that may be. */
static double real(struct reading *r, const char *field, bool may_be_null)
{
    const json_t *value = json_object_get(r->object, field);
    double n = json_number_value(value);
    if (may_be_null && json_is_null(value))
        return NAN;
    if (!json_is_number(value) || !(n >= 0 && n <= 1e15))
        bad(r, field, "a number, 0 or more");
    return n;
}

static int whole(struct reading *r, const char *field)
{
    double n = real(r, field, false);
    if (r->ok && (n != floor(n) || n > 1e9))
        bad(r, field, "a whole number");
    return r->ok ? (int)n : 0;
}

static struct bench_percentiles take_percentiles(struct reading *r, const char *field)
{
    char where[BENCH_TEXT];
    snprintf(where, sizeof where, "%s%s.", r->where, field);
    struct reading inner = {json_object_get(r->object, field), where, r->e, r->ok};
    struct bench_percentiles p = {real(&inner, "p50", true), real(&inner, "p90", true),
                                  real(&inner, "p99", true)};
    r->ok = inner.ok;
    return p;
}

static enum bench_kind take_kind(struct reading *r)
{
    const char *name = json_string_value(json_object_get(r->object, "kind"));
    for (int i = 0; name && i < BENCH_KINDS; i++)
        if (strcmp(name, bench_kind_names[i]) == 0)
            return (enum bench_kind)i;
    bad(r, "kind", "closed, open, length or cold");
    return BENCH_CLOSED;
}

static bool take_point(const json_t *object, int i, struct bench_point *p, struct err *e)
{
    char where[40];
    snprintf(where, sizeof where, "points[%d].", i);
    struct reading r = {object, where, e, true};
    *p = (struct bench_point){.kind = take_kind(&r), .level = real(&r, "level", false)};
    p->requests = whole(&r, "requests");
    p->failed = whole(&r, "failed");
    if (!json_is_null(json_object_get(object, "failure")))
        text(&r, "failure", p->failure);
    p->seconds = real(&r, "seconds", false);
    p->busy_seconds = real(&r, "busy_seconds", false);
    p->tokens = real(&r, "tokens", false);
    p->first_ms = take_percentiles(&r, "first_token_ms");
    p->total_ms = take_percentiles(&r, "total_ms");
    p->tokens_per_second = take_percentiles(&r, "tokens_per_second");
    p->usd_per_1000 = real(&r, "usd_per_1000", true);
    return r.ok;
}

static bool take_instance(const json_t *object, struct bench_result *out, struct err *e)
{
    struct reading r = {object, "instance.", e, true};
    out->shape = (struct run_shape){whole(&r, "vcpu"), whole(&r, "gib")};
    text(&r, "region", out->region);
    text(&r, "prices", out->prices);
    return r.ok;
}

static bool take_result(const json_t *object, struct bench_result *out, struct err *e)
{
    struct reading r = {object, "", e, true};
    const json_t *points = json_object_get(object, "points");
    *out = (struct bench_result){0};
    text(&r, "ferry", out->ferry);
    text(&r, "date", out->date);
    text(&r, "service", out->service);
    text(&r, "model", out->model);
    out->audio_seconds = real(&r, "audio_seconds", false);
    out->max_tokens = whole(&r, "max_tokens");
    if (!json_is_array(points) || json_array_size(points) > BENCH_POINTS)
        bad(&r, "points", "a list of rows");
    bool ok = r.ok && take_instance(json_object_get(object, "instance"), out, e);
    for (int n = (int)json_array_size(points); ok && out->count < n; out->count++)
        ok = take_point(json_array_get(points, (size_t)out->count), out->count, &out->points[out->count], e);
    return ok;
}

bool bench_parse(const char *bytes, size_t size, struct bench_result *r, struct err *e)
{
    json_error_t problem;
    json_t *object = json_loadb(bytes, size, 0, &problem);
    if (!object)
        return err_set(e, ERR_CORRUPT, "line %d: not JSON: %s", problem.line, problem.text);
    const char *kind = json_string_value(json_object_get(object, "object"));
    bool ok = kind && strcmp(kind, "bench") == 0
                  ? take_result(object, r, e)
                  : err_set(e, ERR_CORRUPT, "not what `ferry bench --json` writes");
    json_decref(object);
    return ok;
}
