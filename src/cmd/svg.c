#include "cmd/svg.h"

#include "cmd/report.h"

#include <math.h>

double axis_at(const struct axis *a, double value)
{
    double v = fmin(fmax(value, a->from), a->to);
    double part =
        a->logarithmic ? log(v / a->from) / log(a->to / a->from) : (v - a->from) / (a->to - a->from);
    return a->begin + part * (a->end - a->begin);
}

/* 1, 2 or 5 times a power of ten. */
static double round_step(double least)
{
    double power = pow(10, floor(log10(least))), n = least / power;
    return (n <= 1 ? 1 : n <= 2 ? 2 : n <= 5 ? 5 : 10) * power;
}

int axis_ticks(const struct axis *a, int wanted, double ticks[AXIS_TICKS])
{
    int count = 0;
    if (a->logarithmic) {
        for (double t = pow(10, ceil(log10(a->from) - 1e-9)); t <= a->to * 1.001 && count < AXIS_TICKS;
             t *= 10)
            ticks[count++] = t;
        return count;
    }
    double step = round_step((a->to - a->from) / wanted);
    for (double t = ceil(a->from / step) * step; t <= a->to + step / 1000 && count < AXIS_TICKS; t += step)
        ticks[count++] = t;
    return count;
}

void svg_begin(FILE *out, int width, int height, const char *what_it_shows)
{
    fprintf(out, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", width, height);
    report_html_text(what_it_shows, out);
    fputs("\">\n", out);
}

void svg_end(FILE *out)
{
    fputs("</svg>\n", out);
}

void svg_text(FILE *out, double x, double y, const char *class, const char *anchor, const char *text)
{
    fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\" text-anchor=\"%s\">", x, y, class, anchor);
    report_html_text(text, out);
    fputs("</text>\n", out);
}

void svg_line(FILE *out, double x1, double y1, double x2, double y2, const char *class)
{
    fprintf(out, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"%s\"/>\n", x1, y1, x2, y2,
            class);
}

static void close_with(FILE *out, const char *name, const char *title)
{
    if (!title) {
        fputs("/>\n", out);
        return;
    }
    fputs("><title>", out);
    report_html_text(title, out);
    fprintf(out, "</title></%s>\n", name);
}

void svg_rect(FILE *out, double x, double y, double width, double height, const char *class,
              const char *title)
{
    fprintf(out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" class=\"%s\"", x, y,
            fmax(width, 0), height, class);
    close_with(out, "rect", title);
}

void svg_dot(FILE *out, double x, double y, double radius, const char *class, const char *title)
{
    fprintf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\" class=\"%s\"", x, y, radius, class);
    close_with(out, "circle", title);
}

/* The lowest is brought into the picture, then each above it out of the way of the one below. */
void svg_spread(double *y, int count, double least_gap, double top, double bottom)
{
    for (int i = 0; i < count; i++)
        for (int k = i; k > 0 && y[k] > y[k - 1] - least_gap; k--)
            y[k] = y[k - 1] - least_gap;
    for (int i = 0; i < count; i++)
        y[i] = fmin(y[i], bottom - i * least_gap);
    if (count && y[count - 1] < top)
        for (int i = count - 1; i >= 0; i--)
            y[i] = fmax(y[i], top + (count - 1 - i) * least_gap);
}
