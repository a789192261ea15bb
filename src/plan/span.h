/* span.h: a quantity that is known to lie between two values. Equal ones: it is known. NAN: it is not, and
 * neither is what is computed from it; no sum leaves an unknown out. */
#ifndef FERRY_PLAN_SPAN_H
#define FERRY_PLAN_SPAN_H

#include <math.h>
#include <stdbool.h>

struct span {
    double least, most;
};

static inline struct span span_of(double value)
{
    return (struct span){value, value};
}

static inline struct span span_unknown(void)
{
    return span_of(NAN);
}

static inline bool span_known(struct span s)
{
    return !isnan(s.least) && !isnan(s.most);
}

static inline struct span span_add(struct span a, struct span b)
{
    return (struct span){a.least + b.least, a.most + b.most};
}

/* factor >= 0 */
static inline struct span span_times(struct span s, double factor)
{
    return (struct span){s.least * factor, s.most * factor};
}

/* How often s (> 0) goes into a whole: the largest s gives the least. */
static inline struct span span_divides(double whole, struct span s)
{
    return (struct span){whole / s.most, whole / s.least};
}

/* The middle of a quantity known to a factor: the geometric mean. Of zeros: zero. */
static inline double span_middle(struct span s)
{
    return sqrt(s.least * s.most);
}

#endif
