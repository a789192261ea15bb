/* svg.h: the few shapes that the charts of a page are drawn with. Colours are classes of its
 * style sheet (page.css), so that they follow the reader's light or dark. */
#ifndef FERRY_CMD_SVG_H
#define FERRY_CMD_SVG_H

#include <stdbool.h>
#include <stdio.h>

/* A value's way to a place: from..to become begin..end. */
struct axis {
    double from, to, begin, end;
    bool logarithmic; /* from > 0 */
};

double axis_at(const struct axis *a, double value); /* values outside are brought to the end */

enum { AXIS_TICKS = 12 };
/* Round values from `from` to `to`, about `wanted` of them; how many. Logarithmic: 1, 10, 100, … */
int axis_ticks(const struct axis *a, int wanted, double ticks[AXIS_TICKS]);

void svg_begin(FILE *out, int width, int height, const char *what_it_shows);
void svg_end(FILE *out);
void svg_text(FILE *out, double x, double y, const char *class, const char *anchor, const char *text);
void svg_line(FILE *out, double x1, double y1, double x2, double y2, const char *class);
/* title: told when the pointer rests on it; NULL: nothing. */
void svg_rect(FILE *out, double x, double y, double width, double height, const char *class,
              const char *title);
void svg_dot(FILE *out, double x, double y, double radius, const char *class, const char *title);

/* Labels of lines at their ends: moved apart until each has its own row. y: [count], in place; order is kept.
 */
void svg_spread(double *y, int count, double least_gap, double top, double bottom);

#endif
