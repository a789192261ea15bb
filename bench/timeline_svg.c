#include "timeline_svg.h"

#include <stdio.h>
#include <string.h>

enum { WIDTH = 960, LEFT = 150, RIGHT = 30, LANE = 34, TOP = 64 };

/* What a lane's rectangles are drawn in, by what a stage's name begins with. */
static const struct {
    const char *prefix, *fill, *legend;
} kinds[] = {
    {"audio front", "#7c3aed", "audio tower"},
    {"encoder", "#7c3aed", NULL},
    {"projector", "#7c3aed", NULL},
    {"decoder", "#2563eb", "decoder"},
    {"head", "#0f766e", "head"},
    {"embedding", "#94a3b8", "embedding"},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

struct canvas {
    FILE *f;
    double ms; /* of the whole axis */
};

static double x_of(const struct canvas *c, double ms)
{
    return LEFT + ms / c->ms * (WIDTH - LEFT - RIGHT);
}

static const char *fill_of(const char *stage)
{
    for (int i = 0; i < KINDS; i++)
        if (strncmp(stage, kinds[i].prefix, strlen(kinds[i].prefix)) == 0)
            return kinds[i].fill;
    return "#94a3b8";
}

static void bar(const struct canvas *c, int y, double begin, double end, const char *fill, const char *title)
{
    fprintf(c->f,
            "<rect x=\"%.2f\" y=\"%d\" width=\"%.2f\" height=\"22\" fill=\"%s\" stroke=\"#fff\" "
            "stroke-width=\"0.4\"><title>%s: %.2f to %.2f s</title></rect>\n",
            x_of(c, begin), y, x_of(c, end) - x_of(c, begin), fill, title, begin * 1e-3, end * 1e-3);
}

static void label(const struct canvas *c, double x, int y, const char *anchor, const char *text)
{
    fprintf(c->f, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"%s\">%s</text>\n", x, y, anchor, text);
}

static void mark(const struct canvas *c, int y, int height, double ms, const char *what)
{
    char text[80];
    snprintf(text, sizeof text, "%s %.1f s", what, ms * 1e-3);
    fprintf(c->f, "<path d=\"M%.2f %dv%d\" stroke=\"#dc2626\" stroke-width=\"2\"/>\n", x_of(c, ms), y,
            height);
    bool left = x_of(c, ms) > WIDTH - 190;
    label(c, x_of(c, ms) + (left ? -5 : 5), y + height + 11, left ? "end" : "start", text);
}

static double number(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

/* Each stage from where the one that arrived before it ended. */
static void draw_arrivals(const struct canvas *c, int y, const json_t *stages, double begin)
{
    double at = begin;
    for (size_t left = json_array_size(stages); left > 0; left--) {
        const json_t *next = NULL, *s;
        for (size_t i = 0; (s = json_array_get(stages, i)); i++) {
            double arrived = number(s, "arrived_ms");
            if (arrived > at && (!next || arrived < number(next, "arrived_ms")))
                next = s;
        }
        if (!next)
            return;
        const char *name = json_string_value(json_object_get(next, "name"));
        bar(c, y, at, number(next, "arrived_ms"), fill_of(name), name);
        at = number(next, "arrived_ms");
    }
}

static void draw_computing(const struct canvas *c, int y, const json_t *stages)
{
    const json_t *s;
    for (size_t i = 0; (s = json_array_get(stages, i)); i++) {
        const char *name = json_string_value(json_object_get(s, "name"));
        if (number(s, "busy_ms") > 0)
            bar(c, y, number(s, "begun_ms"), number(s, "done_ms"), fill_of(name), name);
    }
}

static void draw_axis(const struct canvas *c, int y)
{
    double step = c->ms > 40e3 ? 10e3 : c->ms > 16e3 ? 5e3 : c->ms > 6e3 ? 2e3 : 1e3;
    for (double ms = 0; ms <= c->ms; ms += step) {
        char text[24];
        snprintf(text, sizeof text, "%.0f s", ms * 1e-3);
        fprintf(c->f, "<path d=\"M%.2f %dV%d\" stroke=\"#e2e8f0\"/>\n", x_of(c, ms), TOP - 14, y);
        label(c, x_of(c, ms), y + 14, "middle", text);
    }
}

static void draw_legend(const struct canvas *c)
{
    double x = LEFT;
    for (int i = 0; i < KINDS; i++) {
        if (!kinds[i].legend)
            continue;
        fprintf(c->f, "<rect x=\"%.0f\" y=\"34\" width=\"10\" height=\"10\" fill=\"%s\"/>\n", x,
                kinds[i].fill);
        label(c, x + 14, 43, "start", kinds[i].legend);
        x += 100;
    }
}

static void draw(const struct canvas *c, const struct timelines *t)
{
    const json_t *stages = json_object_get(t->load, "stages"), *phases = json_object_get(t->load, "phases");
    double begin = number(phases, "start_ms") + number(phases, "files_ms");
    int y = TOP;
    label(c, LEFT - 8, y + 15, "end", "fetch, in order");
    draw_arrivals(c, y, stages, begin);
    label(c, LEFT - 8, y + LANE + 15, "end", "compute");
    draw_computing(c, y + LANE, stages);
    mark(c, y - 4, 2 * LANE, t->first_ms, "first token");
    y += 2 * LANE + 40;
    label(c, LEFT - 8, y + 15, "end", "copy, load, compute");
    bar(c, y, 0, t->other.copied_ms, "#64748b", "copy");
    bar(c, y, t->other.copied_ms, t->other.ready_ms, "#f59e0b", "load");
    bar(c, y, t->other.ready_ms, t->other.first_ms, "#2563eb", "compute");
    mark(c, y - 4, LANE, t->other.first_ms, "first token");
}

bool timeline_svg_write(const char *path, const struct timelines *t, struct err *e)
{
    double loaded = number(t->load, "elapsed_ms");
    struct canvas c = {fopen(path, "w"), (t->other.first_ms > loaded ? t->other.first_ms : loaded) * 1.02};
    int height = TOP + 3 * LANE + 40 + 46;
    if (!c.f)
        return err_errno(e, "%s", path);
    fprintf(c.f,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" "
            "font-size=\"11\" fill=\"#0f172a\">\n<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n"
            "<text x=\"%d\" y=\"20\" font-size=\"14\" font-weight=\"600\">%s</text>\n",
            WIDTH, height, WIDTH, height, LEFT, t->title);
    draw_legend(&c);
    draw_axis(&c, height - 24);
    draw(&c, t);
    fputs("</svg>\n", c.f);
    return fclose(c.f) == 0 || err_errno(e, "%s", path);
}
