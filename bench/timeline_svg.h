/* timeline_svg.h: two ways of starting, one above the other on one axis of time. */
#ifndef FERRY_BENCH_TIMELINE_SVG_H
#define FERRY_BENCH_TIMELINE_SVG_H

#include "base/err.h"

#include <jansson.h>

/* Copied as a whole, then loaded, then asked. */
struct one_after_another {
    double copied_ms, ready_ms, first_ms; /* since the begin */
};

struct timelines {
    const char *title;
    const json_t *load; /* what GET /v1/load said in the end */
    double first_ms;    /* its first token */
    struct one_after_another other;
};

bool timeline_svg_write(const char *path, const struct timelines *t, struct err *e);

#endif
