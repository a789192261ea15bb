#include "cmd/plan_charts.h"

#include "base/catalog.h"
#include "cmd/page.h"
#include "cmd/svg.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 860 };

static double gib(uint64_t bytes)
{
    return (double)bytes / (double)PLAN_GIB;
}

/* Vertical lines at round values, named below. */
static void grid(struct report *r, FILE *out, const struct axis *x, double top, double bottom,
                 const char *unit)
{
    double ticks[AXIS_TICKS];
    int count = axis_ticks(x, 8, ticks);
    for (int i = 0; i < count; i++) {
        double at = axis_at(x, ticks[i]);
        svg_line(out, at, top, at, bottom, "grid");
        svg_text(out, at, bottom + 16, "tick", "middle",
                 report_text(r, "%g%s", ticks[i], i == count - 1 ? unit : ""));
    }
}

/* --- memory ---
 */

enum { BAR = 26, BAR_STEP = 40, NAMES = 130, LABEL = 180 };

/* Pieces of one bar, from left to right. */
struct piece {
    const char *class, *name;
    uint64_t bytes;
};

static void bar(struct report *r, FILE *out, const struct axis *x, double y, const char *name,
                const struct piece *pieces, int count, const char *note)
{
    uint64_t at = 0;
    svg_text(out, NAMES - 10, y + BAR * 0.68, "name", "end", name);
    for (int i = 0; i < count; i++) {
        double from = axis_at(x, gib(at)), to = axis_at(x, gib(at + pieces[i].bytes));
        at += pieces[i].bytes;
        svg_rect(out, from, y, fmax(to - from - 1, 0.5), BAR, pieces[i].class,
                 report_text(r, "%s: %s", pieces[i].name, say_gib(r, pieces[i].bytes)));
    }
    double end = axis_at(x, gib(at)), limit = axis_at(x, RUN_MOST_GIB);
    bool crosses = end < limit && end + LABEL / 2 > limit; /* it would stand on the line */
    svg_text(out, (crosses ? limit : end) + 8, y + BAR * 0.68, "value", "start", note);
}

static void option_bar(struct report *r, FILE *out, const struct axis *x, double y,
                       const struct plan_option *o)
{
    const struct plan_memory *m = &o->memory;
    const struct piece pieces[] = {
        {"s1", _("weights"), m->weights},
        {"s2", _("KV cache"), m->kv},
        {"s3", _("scratch, recordings, fetching, program"),
         m->scratch + m->requests + m->window + m->process},
    };
    bar(r, out, x, y, tr(o->encoded.name), pieces, 3, say_gib(r, o->memory_bytes));
}

static int drawn_options(const struct plan *p, const struct plan_option *list[PLAN_ENCODINGS])
{
    int n = 0;
    for (int i = 0; i < PLAN_ENCODINGS; i++) {
        const struct plan_option *o = &p->options[i];
        bool same = i == PLAN_BF16 && o->encoded.tensor_bytes == p->options[PLAN_STORED].encoded.tensor_bytes;
        if (o->possible && (!same || o == p->chosen))
            list[n++] = o;
    }
    return n;
}

void chart_memory(struct report *r, const struct plan_view *v, FILE *out)
{
    static const char *const names[] = {N_("weights"), N_("KV cache"), N_("everything else"),
                                        N_("the same weights as a file in /tmp")};
    static const char *const classes[] = {"s1", "s2", "s3", "bad"};
    const struct plan *p = v->plan;
    const struct plan_option *list[PLAN_ENCODINGS];
    int n = drawn_options(p, list);
    double most = fmax(fmax(gib(p->tmp_then_load), gib(list[0]->memory_bytes)), RUN_MOST_GIB) * 1.2;
    struct axis x = {0, most, NAMES, WIDTH - 20, false};
    double top = 24, bottom = top + BAR_STEP * (n + 1), limit = axis_at(&x, RUN_MOST_GIB);
    fputs("<figure>\n", out);
    page_legend(out, names, classes, 4);
    svg_begin(out, WIDTH, (int)bottom + 26, _("Memory that each encoding needs, beside Cloud Run's most"));
    grid(r, out, &x, top - 8, bottom, " GiB");
    for (int i = 0; i < n; i++)
        option_bar(r, out, &x, top + BAR_STEP * i, list[i]);
    const struct piece copies[] = {{"bad", _("a copy in /tmp"), p->model.census.file_bytes},
                                   {"s1", _("weights"), p->model.census.file_bytes}};
    bar(r, out, &x, top + BAR_STEP * n, _("/tmp, then load"), copies, 2,
        report_text(r, "%s, and more", say_gib(r, p->tmp_then_load)));
    svg_line(out, limit, top - 8, limit, bottom, "limit");
    svg_text(out, limit - 6, top - 12, "tick", "end",
             report_text(r, "Cloud Run's most: %d GiB", RUN_MOST_GIB));
    svg_end(out);
    page_caption(out, _("Memory of one instance. Files written on Cloud Run are memory: a copy in /tmp "
                        "counts beside the weights "
                        "that are loaded from it."));
}

/* --- cold start ---
 */

/* One end of the range. */
struct lane {
    const char *name;
    double container, opening, loaded, first_token, answered, load_first; /* seconds since the beginning */
};

static void lane(struct report *r, FILE *out, const struct axis *x, double y, const struct lane *l)
{
    double begun = l->container + l->opening;
    svg_text(out, NAMES - 10, y + BAR * 0.68, "name", "end", l->name);
    svg_rect(out, axis_at(x, 0), y, axis_at(x, begun) - axis_at(x, 0) - 1, BAR, "s3",
             report_text(r, "container and opening: %s", say_seconds(r, begun)));
    svg_rect(out, axis_at(x, begun), y, axis_at(x, l->loaded) - axis_at(x, begun) - 1, BAR, "s1",
             report_text(r, "weights arrive until %s", say_seconds(r, l->loaded)));
    if (isnan(l->first_token))
        return;
    double token = axis_at(x, l->first_token), first = axis_at(x, l->load_first);
    svg_rect(out, token, y + BAR + 4, axis_at(x, l->answered) - token, 8, "s2",
             report_text(r, "the answer is written until %s", say_seconds(r, l->answered)));
    svg_dot(out, token, y + BAR + 8, 5, "s2 ring",
            report_text(r, "first token at %s", say_seconds(r, l->first_token)));
    svg_line(out, first, y - 3, first, y + BAR + 14, "other");
    const char *told = report_text(r, "first token %s, answered %s", say_seconds(r, l->first_token),
                                   say_seconds(r, l->answered));
    double behind = fmax(axis_at(x, l->answered), first) + 8;
    bool fits = behind + LABEL < WIDTH;
    svg_text(out, fits ? behind : token - 9, y + BAR + 12, "value", fits ? "start" : "end", told);
}

void chart_cold_start(struct report *r, const struct plan_view *v, FILE *out)
{
    static const char *const names[] = {N_("start"), N_("weights arrive, and compute as they come"),
                                        N_("the answer"), N_("first token if it loaded first")};
    static const char *const classes[] = {"s3", "s1", "s2", "other"};
    const struct plan_option *o = v->plan->chosen;
    const struct cold_start *c = &o->cold;
    const struct lane lanes[] = {
        {report_text(r, "at %s", say_rate(r, o->speed.fetch.most)), c->container.least, c->opening.least,
         c->loaded.least, c->first_token.least, c->answered.least, c->load_first.least},
        {report_text(r, "at %s", say_rate(r, o->speed.fetch.least)), c->container.most, c->opening.most,
         c->loaded.most, c->first_token.most, c->answered.most, c->load_first.most},
    };
    int n = o->speed.fetch.least == o->speed.fetch.most ? 1 : 2;
    double end = fmax(isnan(c->answered.most) ? c->loaded.most : c->answered.most, 1);
    struct axis x = {0, end * 1.03, NAMES, WIDTH - 20, false};
    double top = 14, step = 62, bottom = top + step * n - 6;
    fputs("<figure>\n", out);
    page_legend(out, names, classes, isnan(c->first_token.most) ? 2 : 4);
    svg_begin(out, WIDTH, (int)bottom + 26, _("What happens from the first request to its answer"));
    grid(r, out, &x, top - 8, bottom, " s");
    for (int i = 0; i < n; i++)
        lane(r, out, &x, top + step * i, &lanes[i]);
    svg_end(out);
    page_caption(out, _("From no instance to an answer, at both ends of what is likely: nothing waits for "
                        "the last byte, the "
                        "first token follows the layers as they arrive."));
}

/* --- costs ---
 */

enum { COST_HEIGHT = 360, COST_TOP = 16, COST_BOTTOM = 316, COST_LEFT = 64, COST_RIGHT = 640, POINTS = 80 };

struct cost_chart {
    struct report *r;
    const struct plan_view *v;
    FILE *out;
    struct axis x, y;
};

static double requests_at(const struct cost_chart *c, int i)
{
    return c->x.from * pow(c->x.to / c->x.from, (double)i / POINTS);
}

static double machine_at(const struct cost_chart *c)
{
    return c->v->plan->machine.month;
}

static struct span way_at(const struct cost_chart *c, enum cost_way way, double requests)
{
    return plan_month_at(c->v->plan, c->v->prices, way, requests);
}

static void point(const struct cost_chart *c, int i, double usd, bool first)
{
    fprintf(c->out, "%s%.1f %.1f", first ? "M" : "L", axis_at(&c->x, requests_at(c, i)), axis_at(&c->y, usd));
}

/* Between the least and the most. */
static void band(const struct cost_chart *c, enum cost_way way, const char *class)
{
    fputs("<path d=\"", c->out);
    for (int i = 0; i <= POINTS; i++)
        point(c, i, way_at(c, way, requests_at(c, i)).most, i == 0);
    for (int i = POINTS; i >= 0; i--)
        point(c, i, way_at(c, way, requests_at(c, i)).least, false);
    fprintf(c->out, "Z\" class=\"%s\"/>\n", class);
}

static void curve(const struct cost_chart *c, enum cost_way way, const char *class)
{
    fputs("<path d=\"", c->out);
    for (int i = 0; i <= POINTS; i++)
        point(c, i, span_middle(way_at(c, way, requests_at(c, i))), i == 0);
    fprintf(c->out, "\" class=\"line %s\"/>\n", class);
}

static void cost_axes(const struct cost_chart *c)
{
    double ticks[AXIS_TICKS];
    int count = axis_ticks(&c->y, 5, ticks);
    for (int i = 0; i < count; i++) {
        double at = axis_at(&c->y, ticks[i]);
        svg_line(c->out, COST_LEFT, at, COST_RIGHT, at, "grid");
        svg_text(c->out, COST_LEFT - 8, at + 4, "tick", "end", say_usd(c->r, &c->v->money, ticks[i]));
    }
    count = axis_ticks(&c->x, 5, ticks);
    for (int i = 0; i < count; i++) {
        double at = axis_at(&c->x, ticks[i]);
        svg_line(c->out, at, COST_BOTTOM, at, COST_BOTTOM + 5, "grid");
        if (at < COST_RIGHT - LABEL / 2) /* the end of the axis is told there */
            svg_text(c->out, at, COST_BOTTOM + 20, "tick", "middle", say_count(c->r, ticks[i]));
    }
    svg_text(c->out, COST_RIGHT, COST_BOTTOM + 20, "tick", "end", say_count(c->r, c->x.to));
    svg_text(c->out, COST_RIGHT, COST_BOTTOM + 38, "tick", "end", _("requests a day"));
}

/* A line's name at its end, and where it must stand not to cover another. */
struct label {
    const char *text, *class;
    double y;
};

static int by_height(const void *a, const void *b)
{
    double ya = ((const struct label *)a)->y, yb = ((const struct label *)b)->y;
    return (ya < yb) - (ya > yb);
}

static void cost_labels(const struct cost_chart *c, struct label *labels, int count)
{
    double y[COST_WAYS + 1];
    qsort(labels, (size_t)count, sizeof *labels, by_height);
    for (int i = 0; i < count; i++)
        y[i] = labels[i].y;
    svg_spread(y, count, 17, COST_TOP + 6, COST_BOTTOM);
    for (int i = 0; i < count; i++)
        svg_text(c->out, COST_RIGHT + 10, y[i] + 4, labels[i].class, "start", labels[i].text);
}

/* Requests a day at which the middle of scaling to zero reaches a sum; 0: not in the picture. */
static double reaches(const struct cost_chart *c, double usd)
{
    enum { FINE = 10 };
    for (int i = 0; i <= POINTS * FINE; i++) {
        double requests = c->x.from * pow(c->x.to / c->x.from, (double)i / (POINTS * FINE));
        if (span_middle(way_at(c, COST_SCALE_TO_ZERO, requests)) >= usd)
            return i ? requests : 0;
    }
    return 0;
}

static void even_dot(const struct cost_chart *c, struct span requests, double usd, const char *what)
{
    double at = isnan(usd) ? 0 : reaches(c, usd);
    if (at > 0)
        svg_dot(
            c->out, axis_at(&c->x, at), axis_at(&c->y, usd), 5, "even ring",
            report_text(c->r, "from %s requests a day %s is cheaper", say_from_span(c->r, requests), what));
}

/* Columns that tell their numbers when the pointer rests on them. */
static void cost_columns(const struct cost_chart *c)
{
    enum { COLUMNS = 20 };
    const struct money *m = &c->v->money;
    double width = (COST_RIGHT - COST_LEFT) / (double)COLUMNS;
    for (int i = 0; i < COLUMNS; i++) {
        double requests = c->x.from * pow(c->x.to / c->x.from, (i + 0.5) / COLUMNS);
        const char *text = report_text(c->r, "%s requests a day", say_count(c->r, requests));
        for (int w = 0; w < COST_WAYS; w++)
            text = report_text(c->r, "%s; %s %s", text, tr(plan_way_names[w]),
                               say_usd_span(c->r, m, way_at(c, (enum cost_way)w, requests)));
        svg_rect(c->out, COST_LEFT + i * width, COST_TOP, width, COST_BOTTOM - COST_TOP, "hover", text);
    }
}

static void cost_lines(const struct cost_chart *c)
{
    static const char *const classes[COST_WAYS] = {"c1", "c2", "c3", "c4"};
    struct label labels[COST_WAYS + 1];
    int count = 0;
    double vm = machine_at(c);
    band(c, COST_SCALE_TO_ZERO, "band");
    for (int w = 0; w < COST_WAYS; w++) {
        double end = span_middle(way_at(c, (enum cost_way)w, c->x.to));
        if (isnan(end))
            continue;
        curve(c, (enum cost_way)w, classes[w]);
        labels[count++] = (struct label){tr(plan_way_names[w]), report_text(c->r, "label %s", classes[w]),
                                         axis_at(&c->y, end)};
    }
    if (!isnan(vm)) {
        svg_line(c->out, COST_LEFT, axis_at(&c->y, vm), COST_RIGHT, axis_at(&c->y, vm), "line c5");
        labels[count++] = (struct label){
            report_text(c->r, "VM %s", c->v->plan->machine.price->what + strlen("Compute Engine ")),
            "label c5", axis_at(&c->y, vm)};
    }
    cost_labels(c, labels, count);
}

void chart_costs(struct report *r, const struct plan_view *v, FILE *out)
{
    const struct plan *p = v->plan;
    double most_requests = p->capacity.least; /* what one instance answers at its slowest */
    double always = p->ways[COST_ALWAYS_ON].most;
    if (p->chosen->shape.vcpu == 0 || isnan(most_requests) || isnan(always))
        return;
    double to = fmax(most_requests, 20);
    struct cost_chart c = {
        r, v, out, {1, to, COST_LEFT, COST_RIGHT, true}, {0, always * 1.25, COST_BOTTOM, COST_TOP, false}};
    fputs("<figure>\n", out);
    svg_begin(out, WIDTH, COST_HEIGHT, _("What a month costs, by requests a day"));
    cost_axes(&c);
    cost_lines(&c);
    if (p->question.requests_per_day >= 1 && p->question.requests_per_day <= to) {
        double at = axis_at(&c.x, p->question.requests_per_day);
        svg_line(out, at, COST_TOP, at, COST_BOTTOM, "asked");
        svg_text(out, at + 6, COST_TOP + 10, "tick", "start",
                 report_text(r, "asked: %s a day", say_count(r, p->question.requests_per_day)));
    }
    even_dot(&c, p->even_machine, machine_at(&c), _("a VM"));
    even_dot(&c, p->even_on, always, _("an instance that is always on"));
    cost_columns(&c);
    svg_end(out);
    page_caption(
        out,
        report_text(
            r,
            "A month, by requests a day at random times, up to what one instance answers at its slowest. The "
            "band is scaling to zero between the fastest and the slowest that is likely; lines are the "
            "geometric middle; a dot is where something else becomes cheaper: a VM from %s a day.",
            say_from_span(r, p->even_machine)));
}
