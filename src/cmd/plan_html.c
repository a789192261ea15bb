/* plan_html.c: a plan as one page: it loads nothing, follows the reader's light or dark, prints well. */
#include "cmd/plan_charts.h"
#include "cmd/plan_command.h"

#include "base/catalog.h"
#include <string.h>

extern const char plan_style[]; /* plan.css */

static const struct {
    const char *id; /* of the section that it stands in */
    void (*draw)(struct report *r, const struct plan_view *v, FILE *out);
} charts[] = {
    {"memory", chart_memory},
    {"cold", chart_cold_start},
    {"costs", chart_costs},
};

static void tile(const char *value, const char *what, FILE *out)
{
    fputs("<div class=\"tile\"><b>", out);
    report_html_text(value, out);
    fputs("</b><span>", out);
    report_html_text(what, out);
    fputs("</span></div>\n", out);
}

static void tiles(struct report *r, const struct plan_view *v, FILE *out)
{
    const struct plan *p = v->plan;
    const struct plan_option *o = p->chosen;
    fputs("<div class=\"tiles\">\n", out);
    tile(say_gib(r, o->memory_bytes),
         o->shape.vcpu ? report_text(r, "of memory: %d vCPU, %d GiB", o->shape.vcpu, o->shape.gib)
                       : report_text(r, "of memory: does not fit, %s", plan_limit_text(r, p)),
         out);
    tile(say_seconds_span(r, o->cold.first_token), _("from nothing to the first token"), out);
    tile(say_number_span(r, span_divides(1, o->answer.token)), _("tokens a second"), out);
    tile(say_usd_span(r, &v->money, o->month),
         report_text(r, "a month, %s requests a day", say_count(r, p->question.requests_per_day)), out);
    fputs("</div>\n", out);
}

static void head(const struct report *r, FILE *out)
{
    fprintf(out,
            "<!DOCTYPE html>\n<html lang=\"%s\">\n<head>\n<meta charset=\"utf-8\">\n"
            "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
            "'unsafe-inline'\">\n<title>",
            catalog_language());
    report_html_text(r->title, out);
    fprintf(out, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<main>\n<h1>", plan_style);
    report_html_text(r->title, out);
    fprintf(out, "</h1>\n<p class=\"where\">%s</p>\n", _("What it needs and costs, before anything is paid"));
}

static void section(struct report *r, const struct report_section *s, const struct plan_view *v, FILE *out)
{
    fprintf(out, "<section id=\"%s\">\n<h2>", s->id);
    report_html_text(s->title, out);
    fputs("</h2>\n", out);
    for (size_t i = 0; i < sizeof charts / sizeof *charts; i++)
        if (strcmp(charts[i].id, s->id) == 0)
            charts[i].draw(r, v, out);
    report_html_section(s, out);
    fputs("</section>\n", out);
}

void plan_html(struct report *r, const struct plan_view *v, FILE *out)
{
    head(r, out);
    tiles(r, v, out);
    for (int i = 0; i < r->section_count; i++)
        section(r, &r->sections[i], v, out);
    fputs("<footer>", out);
    fprintf(out, _("Written by ferry %s. This page loads nothing from anywhere."), FERRY_VERSION);
    fputs("</footer>\n</main>\n</body>\n</html>\n", out);
}
