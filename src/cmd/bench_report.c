/* bench_report.c: what was measured, in tables. */
#include "cmd/bench.h"

#include "base/catalog.h"
#include "cmd/plan_format.h"

#include <math.h>
#include <string.h>

enum { WORSE_PERCENT = 10, SMALL_SAMPLE = 100 };

static const struct money dollars = {0};

static const struct {
    const char *id, *title, *note;
} kinds[BENCH_KINDS] = {
    [BENCH_CLOSED] = {"closed", N_("So many at a time, each followed by the next"), NULL},
    [BENCH_OPEN] =
        {"open", N_("So many a second, at random times"),
         N_("Times count from when a request was due, so that a service that falls behind shows it.")},
    [BENCH_LENGTH] = {"lengths", N_("By length of the recording, one at a time"), NULL},
    [BENCH_COLD] = {"cold", N_("From no instance to the answer"), NULL},
};

const char *bench_point_name(struct report *r, const struct bench_point *p)
{
    switch (p->kind) {
    case BENCH_CLOSED:
        return report_text(r, "%g at a time", p->level);
    case BENCH_OPEN:
        return report_text(r, "%g a second", p->level);
    case BENCH_LENGTH:
        return report_text(r, "%g s of audio", p->level);
    default:
        return _("cold start");
    }
}

static const char *unless_nan(struct report *r, double n, const char *unit)
{
    return isnan(n) ? "-" : report_text(r, "%s%s", say_few(r, n), unit);
}

/* "19.2 / 24 / 31 ms", in the unit of the largest. */
static const char *say_ms(struct report *r, const struct bench_percentiles *p)
{
    bool seconds = p->p99 >= 1000;
    double by = seconds ? 1e-3 : 1;
    if (isnan(p->p50))
        return "-";
    return report_text(r, "%s/%s/%s %s", say_few(r, p->p50 * by), say_few(r, p->p90 * by),
                       say_few(r, p->p99 * by), seconds ? "s" : "ms");
}

static double together(const struct bench_point *p)
{
    return p->seconds > 0 && p->tokens > 0 ? p->tokens / p->seconds : NAN;
}

static void row(struct report *r, struct report_section *s, const struct bench_point *p)
{
    const char *count =
        p->failed ? report_text(r, "%d, %d failed", p->requests, p->failed) : say_count(r, p->requests);
    REPORT_ROW(s, p->failed ? REPORT_BAD : REPORT_PLAIN, NULL, bench_point_name(r, p), count,
               say_ms(r, &p->first_ms), say_ms(r, &p->total_ms), unless_nan(r, p->tokens_per_second.p50, ""),
               unless_nan(r, together(p), ""), say_usd(r, &dollars, p->usd_per_1000));
    if (p->failed)
        report_note(s, report_text(r, "%s: %s", bench_point_name(r, p), p->failure));
}

static void kind_section(struct report *report, const struct bench_result *b, enum bench_kind kind)
{
    struct report_section *s = NULL;
    int least = SMALL_SAMPLE;
    for (int i = 0; i < b->count; i++) {
        const struct bench_point *p = &b->points[i];
        if (p->kind != kind)
            continue;
        if (!s)
            s = report_section(report, kinds[kind].id, kinds[kind].title,
                               N_("load|>requests|>first token|>answer|>tokens/s|>together|>per 1,000"));
        row(report, s, p);
        least = p->requests < least ? p->requests : least;
    }
    if (s && kinds[kind].note)
        report_note(s, kinds[kind].note);
    if (s && least < SMALL_SAMPLE)
        report_note(s, "With fewer than 100 requests p99 is the slowest of them.");
}

static void facts(struct report *report, const struct bench_result *b)
{
    struct report_section *s = report_section(report, "what", "What was asked", "|");
    const char *audio =
        b->audio_seconds > 0 ? report_text(report, "%.3g s of recording", b->audio_seconds) : _("text alone");
    REPORT_ROW(s, REPORT_PLAIN, NULL, _("service"),
               report_text(report, "%s, model %s", b->service, b->model));
    REPORT_ROW(s, REPORT_PLAIN, NULL, _("each request"),
               report_text(report, "%s, at most %d tokens of answer", audio, b->max_tokens));
    REPORT_ROW(s, REPORT_PLAIN, NULL, _("when"), report_text(report, "%s, by ferry %s", b->date, b->ferry));
    report_note(s, "Times are p50/p90/p99. tokens/s: of one answer behind its first token, the median; "
                   "together: all answers' tokens by the time they took.");
    if (b->shape.vcpu)
        report_note(s, report_text(report,
                                   "per 1,000: what 1,000 requests cost, if this were one Cloud Run instance "
                                   "of %d vCPU and %d GiB in "
                                   "%s, billed by request, without free amounts; prices of %s.",
                                   b->shape.vcpu, b->shape.gib, b->region, b->prices));
    else
        report_note(s, "per 1,000: unknown, since the service does not say how much memory it takes; "
                       "--memory GIB says it.");
}

/* --- then and now --- */

/* In percent; NAN: one of the two is not known. */
static double change(double then, double now)
{
    return then > 0 ? (now / then - 1) * 100 : NAN;
}

static const char *say_change(struct report *r, double percent)
{
    return isnan(percent) ? "" : report_text(r, "%+.0f %%", percent);
}

static const char *then_now(struct report *r, double then, double now, double by, const char *unit)
{
    return report_text(r, "%s \u2192 %s", unless_nan(r, then * by, ""), unless_nan(r, now * by, unit));
}

static const char *then_now_ms(struct report *r, double then, double now)
{
    bool seconds = fmax(then, now) >= 1000;
    return then_now(r, then, now, seconds ? 1e-3 : 1, seconds ? " s" : " ms");
}

static void compare_row(struct report *r, struct report_section *s, const struct bench_point *then,
                        const struct bench_point *now)
{
    double first = change(then->first_ms.p50, now->first_ms.p50);
    double total = change(then->total_ms.p50, now->total_ms.p50);
    double speed = change(together(then), together(now));
    bool worse = first > WORSE_PERCENT || total > WORSE_PERCENT || speed < -WORSE_PERCENT;
    REPORT_ROW(s, worse ? REPORT_BAD : REPORT_PLAIN, NULL, bench_point_name(r, now),
               then_now_ms(r, then->first_ms.p50, now->first_ms.p50), say_change(r, first),
               then_now_ms(r, then->total_ms.p50, now->total_ms.p50), say_change(r, total),
               then_now(r, together(then), together(now), 1, ""), say_change(r, speed));
}

static bool same_question(const struct bench_result *a, const struct bench_result *b)
{
    return a->audio_seconds == b->audio_seconds && a->max_tokens == b->max_tokens &&
           strcmp(a->model, b->model) == 0;
}

static void compare(struct report *report, const struct bench_result *b, const struct bench_result *old)
{
    struct report_section *s =
        report_section(report, "compare", report_text(report, "Beside the run of %s", old->date),
                       N_("load|>first token, p50|>|>answer, p50|>|>tokens/s together|>"));
    for (int i = 0; i < b->count; i++) {
        const struct bench_point *then = bench_find(old, &b->points[i]);
        if (then)
            compare_row(report, s, then, &b->points[i]);
    }
    if (s->row_count == 0)
        report_note(s, "The two runs have no row in common.");
    if (!same_question(b, old))
        report_note(
            s, report_text(report,
                           "Not the same was asked: then model %s, %.3g s of recording, at most %d tokens.",
                           old->model, old->audio_seconds, old->max_tokens));
    report_note(s, "Marked: more than 10 percent worse. Runs differ by some percent by themselves.");
}

void bench_report(struct report *report, const struct bench_result *b, const struct bench_result *old)
{
    report->title = report_text(report, "%s at %s", b->model, b->service);
    for (int k = 0; k < BENCH_KINDS; k++)
        kind_section(report, b, (enum bench_kind)k);
    if (old)
        compare(report, b, old);
    facts(report, b);
}
