/* plan_html.c: a plan as one page. */
#include "cmd/page.h"
#include "cmd/plan_charts.h"
#include "cmd/plan_command.h"

#include "base/catalog.h"

#include <string.h>

static const struct {
    const char *id; /* of the section that it stands in */
    void (*draw)(struct report *r, const struct plan_view *v, FILE *out);
} charts[] = {
    {"memory", chart_memory},
    {"cold", chart_cold_start},
    {"costs", chart_costs},
};

static void tiles(struct report *r, const struct plan_view *v, FILE *out)
{
    const struct plan *p = v->plan;
    const struct plan_option *o = p->chosen;
    page_tiles_begin(out);
    page_tile(say_gib(r, o->memory_bytes),
              o->shape.vcpu ? report_text(r, "of memory: %d vCPU, %d GiB", o->shape.vcpu, o->shape.gib)
                            : report_text(r, "of memory: does not fit, %s", plan_limit_text(r, p)),
              out);
    page_tile(say_seconds_span(r, o->cold.first_token), _("from nothing to the first token"), out);
    page_tile(say_number_span(r, span_divides(1, o->answer.token)), _("tokens a second"), out);
    page_tile(say_usd_span(r, &v->money, o->month),
              report_text(r, "a month, %s requests a day", say_count(r, p->question.requests_per_day)), out);
    page_tiles_end(out);
}

static void section(struct report *r, const struct report_section *s, const struct plan_view *v, FILE *out)
{
    page_section_begin(s, out);
    for (size_t i = 0; i < sizeof charts / sizeof *charts; i++)
        if (strcmp(charts[i].id, s->id) == 0)
            charts[i].draw(r, v, out);
    page_section_end(s, out);
}

void plan_html(struct report *r, const struct plan_view *v, FILE *out)
{
    page_begin(r->title, _("What it needs and costs, before anything is paid"), out);
    tiles(r, v, out);
    for (int i = 0; i < r->section_count; i++)
        section(r, &r->sections[i], v, out);
    page_end(out);
}
