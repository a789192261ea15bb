#include "cmd/prediction_report.h"

#include "base/catalog.h"
#include "cmd/plan_format.h"

#include <math.h>
#include <stdio.h>

static const char *const names[PREDICTED_WHATS] = {
    [PREDICTED_COLD_FIRST_TOKEN] = N_("first token, cold"),
    [PREDICTED_LOADED] = N_("all weights there"),
    [PREDICTED_FIRST_TOKEN] = N_("first token, warm"),
    [PREDICTED_TOKENS] = N_("tokens a second"),
    [PREDICTED_MEMORY] = N_("memory"),
};

void prediction_compare(struct predictions *p, const struct prediction_of *of, enum predicted_what what,
                        struct span predicted, double measured)
{
    struct prediction one = {.of = *of, .what = what, .predicted = predicted, .measured = measured};
    if (span_known(predicted) && predicted.least > 0 && isfinite(measured) && measured > 0)
        predictions_add(p, &one);
}

static const char *say_span(struct report *r, const struct prediction *p)
{
    if (p->what == PREDICTED_TOKENS)
        return say_number_span(r, p->predicted);
    if (p->what == PREDICTED_MEMORY)
        return report_text(r, "%s to %s", say_gib(r, (uint64_t)p->predicted.least),
                           say_gib(r, (uint64_t)p->predicted.most));
    return say_seconds_span(r, p->predicted);
}

static const char *say_measured(struct report *r, const struct prediction *p)
{
    return p->what == PREDICTED_TOKENS   ? say_few(r, p->measured)
           : p->what == PREDICTED_MEMORY ? say_gib(r, (uint64_t)p->measured)
                                         : say_seconds(r, p->measured);
}

void prediction_section(struct report *r, const struct predictions *p)
{
    struct report_section *s =
        report_section(r, "predictions", "Predicted and measured", N_("|>predicted|>measured|>off|"));
    for (int i = 0; i < p->count; i++) {
        const struct prediction *one = &p->items[i];
        bool holds = prediction_holds(one);
        REPORT_ROW(s, holds ? REPORT_PLAIN : REPORT_BAD, NULL, tr(names[one->what]), say_span(r, one),
                   say_measured(r, one), report_text(r, "%+.0f %%", prediction_error_percent(one)),
                   holds ? _("within what was predicted") : _("outside what was predicted"));
    }
    report_note(s, "off: how much more was measured than the middle of the prediction. `ferry plan` tells "
                   "how earlier ones were off.");
}

void prediction_keep_or_say(const struct predictions *p, struct arena *a)
{
    struct err e = {0};
    if (p->count && !predictions_keep(p, a, &e))
        fprintf(stderr, "what was predicted and measured is not kept: %s\n", e.text);
}
