/* bench_html.c: what was measured as one page. */
#include "cmd/bench.h"

#include "base/catalog.h"
#include "cmd/page.h"
#include "cmd/plan_format.h"
#include "cmd/svg.h"

#include <math.h>
#include <string.h>

enum { WIDTH = 860, HEIGHT = 254, TOP = 18, BOTTOM = 206, LEFT = 64, RIGHT = 780, LABEL_GAP = 17 };

static const struct money dollars = {0};

/* One line of a chart: a value of each point. */
struct line {
    const char *name, *class; /* "c1" */
    double (*of)(const struct bench_point *p);
};

static double first_p50(const struct bench_point *p)
{
    return p->first_ms.p50;
}
static double first_p90(const struct bench_point *p)
{
    return p->first_ms.p90;
}
static double first_p99(const struct bench_point *p)
{
    return p->first_ms.p99;
}
static double total_p50(const struct bench_point *p)
{
    return p->total_ms.p50;
}
static double total_p90(const struct bench_point *p)
{
    return p->total_ms.p90;
}
static double total_p99(const struct bench_point *p)
{
    return p->total_ms.p99;
}
static double together(const struct bench_point *p)
{
    return p->seconds > 0 ? p->tokens / p->seconds : NAN;
}

static const struct line first_lines[] = {
    {"p50", "c1", first_p50}, {"p90", "c2", first_p90}, {"p99", "c4", first_p99}};
static const struct line total_lines[] = {
    {"p50", "c1", total_p50}, {"p90", "c2", total_p90}, {"p99", "c4", total_p99}};
static const struct line speed_lines[] = {{N_("together"), "c1", together}};

struct chart {
    struct report *r;
    FILE *out;
    const struct bench_point *points[BENCH_POINTS]; /* of one kind, in their order */
    int count;
    const struct line *lines;
    int line_count;
    const char *unit;   /* " ms", " tokens/s" */
    const char *across; /* what its points differ in; "" nothing */
    struct axis y;
};

/* Points stand at equal distances, whatever their levels. */
static double place(const struct chart *c, int i)
{
    return LEFT + (RIGHT - LEFT) * (i + 0.5) / c->count;
}

static const char *say_value(const struct chart *c, double value)
{
    return report_text(c->r, "%s%s", say_few(c->r, value), c->unit);
}

static double most(const struct chart *c)
{
    double value = 0;
    for (int i = 0; i < c->count; i++)
        for (int k = 0; k < c->line_count; k++)
            value = fmax(value, c->lines[k].of(c->points[i]));
    return value;
}

static void axes(const struct chart *c)
{
    double ticks[AXIS_TICKS];
    int count = axis_ticks(&c->y, 4, ticks);
    for (int i = 0; i < count; i++) {
        double at = axis_at(&c->y, ticks[i]);
        svg_line(c->out, LEFT, at, RIGHT, at, "grid");
        svg_text(c->out, LEFT - 8, at + 4, "tick", "end", say_few(c->r, ticks[i]));
    }
    if (!*c->across)
        return;
    for (int i = 0; i < c->count; i++)
        svg_text(c->out, place(c, i), BOTTOM + 20, "tick", "middle",
                 report_text(c->r, "%g", c->points[i]->level));
    svg_text(c->out, RIGHT, BOTTOM + 38, "tick", "end", c->across);
}

static void line(const struct chart *c, const struct line *l)
{
    double x = NAN, y = NAN;
    for (int i = 0; i < c->count; i++) {
        double value = l->of(c->points[i]), at = axis_at(&c->y, value);
        if (isnan(value))
            continue;
        if (!isnan(x))
            svg_line(c->out, x, y, place(c, i), at, report_text(c->r, "line %s", l->class));
        x = place(c, i), y = at;
    }
    for (int i = 0; i < c->count; i++) {
        double value = l->of(c->points[i]);
        if (!isnan(value))
            svg_dot(c->out, place(c, i), axis_at(&c->y, value), 4, report_text(c->r, "dot %s", l->class),
                    report_text(c->r, "%s, %s: %s", bench_point_name(c->r, c->points[i]), tr(l->name),
                                say_value(c, value)));
    }
}

/* Names at the lines' ends, lowest first as svg_spread wants them; lines are in the order of their values. */
static void labels(const struct chart *c)
{
    double y[4];
    int n = 0, which[4];
    for (int k = 0; k < c->line_count; k++) {
        double value = c->lines[k].of(c->points[c->count - 1]);
        if (isnan(value))
            continue;
        which[n] = k;
        y[n++] = axis_at(&c->y, value);
    }
    svg_spread(y, n, LABEL_GAP, TOP, BOTTOM);
    for (int i = 0; i < n; i++)
        svg_text(c->out, place(c, c->count - 1) + 10, y[i] + 4,
                 report_text(c->r, "label %s", c->lines[which[i]].class), "start",
                 tr(c->lines[which[i]].name));
}

static void draw(struct chart *c, const struct line *lines, int count, const char *unit, const char *shows)
{
    c->lines = lines;
    c->line_count = count;
    c->unit = unit;
    double end = most(c);
    if (end == 0)
        return;
    c->y = (struct axis){0, end * 1.1, BOTTOM, TOP, false};
    fputs("<figure>\n", c->out);
    svg_begin(c->out, WIDTH, HEIGHT, shows);
    axes(c);
    for (int k = 0; k < count; k++)
        line(c, &lines[k]);
    labels(c);
    svg_end(c->out);
    page_caption(c->out, shows);
}

static void charts(struct report *r, const struct bench_result *b, enum bench_kind kind, FILE *out)
{
    static const char *const across[BENCH_KINDS] = {N_("requests at a time"), N_("requests a second"),
                                                    N_("seconds of recording"), NULL};
    struct chart c = {.r = r, .out = out, .across = across[kind] ? tr(across[kind]) : ""};
    for (int i = 0; i < b->count; i++)
        if (b->points[i].kind == kind && b->points[i].requests)
            c.points[c.count++] = &b->points[i];
    if (c.count == 0)
        return;
    draw(&c, first_lines, 3, " ms", _("Time to the first token, in milliseconds"));
    draw(&c, total_lines, 3, " ms", _("Time to the end of the answer, in milliseconds"));
    if (kind != BENCH_COLD)
        draw(&c, speed_lines, 1, _(" tokens/s"), _("Tokens a second, of all answers together"));
}

/* --- the page --- */

static const struct bench_point *first_of(const struct bench_result *b, enum bench_kind kind)
{
    for (int i = 0; i < b->count; i++)
        if (b->points[i].kind == kind && b->points[i].requests)
            return &b->points[i];
    return NULL;
}

static void tiles(struct report *r, const struct bench_result *b, FILE *out)
{
    const struct bench_point *one = first_of(b, BENCH_CLOSED), *cold = first_of(b, BENCH_COLD);
    double fastest = NAN;
    for (int i = 0; i < b->count; i++)
        fastest = fmax(fastest, together(&b->points[i]));
    page_tiles_begin(out);
    if (one)
        page_tile(say_seconds(r, one->first_ms.p50 * 1e-3),
                  report_text(r, "to the first token, %s", bench_point_name(r, one)), out);
    if (cold)
        page_tile(say_seconds(r, cold->first_ms.p50 * 1e-3), _("from no instance to the first token"), out);
    if (fastest > 0)
        page_tile(say_few(r, fastest), _("tokens a second at most"), out);
    if (one && !isnan(one->usd_per_1000))
        page_tile(say_usd(r, &dollars, one->usd_per_1000),
                  report_text(r, "1,000 requests, %s", bench_point_name(r, one)), out);
    page_tiles_end(out);
}

static void section(struct report *r, const struct report_section *s, const struct bench_result *b, FILE *out)
{
    static const char *const ids[BENCH_KINDS] = {"closed", "open", "lengths", "cold"};
    page_section_begin(s, out);
    for (int k = 0; k < BENCH_KINDS; k++)
        if (strcmp(ids[k], s->id) == 0)
            charts(r, b, (enum bench_kind)k, out);
    page_section_end(s, out);
}

void bench_html(struct report *r, const struct bench_result *b, FILE *out)
{
    page_begin(r->title, report_text(r, "Measured %s", b->date), out);
    tiles(r, b, out);
    for (int i = 0; i < r->section_count; i++)
        section(r, &r->sections[i], b, out);
    page_end(out);
}
