/* watch.h: `ferry status --watch`: services looked at again and again.
 *
 * On a terminal one picture, drawn over the one before, in 80 columns; elsewhere one JSON object in a line
 * per look. Only /metrics is asked, which wakes nothing and keeps nothing awake. */
#ifndef FERRY_CMD_WATCH_H
#define FERRY_CMD_WATCH_H

#include "base/err.h"
#include "cmd/service_metrics.h"
#include "plan/prices.h"
#include "target/target.h"

#include <jansson.h>

enum { WATCH_HISTORY = 40, WATCH_WIDTH = 80 };

/* One service, over several looks. */
struct watched {
    struct target_service service; /* name NULL: one that was given by its address */
    bool known;                    /* it has told its metrics */
    struct service_metrics now;
    double looked_ms;              /* 0: never */
    double tokens_per_second;      /* since the look before; NAN: not known */
    double history[WATCH_HISTORY]; /* of tokens_per_second, newest last */
    int looks;                     /* in history */
    char problem[200];             /* why it does not tell; "" */
    double usd;                    /* watch_cost */
};

/* A new look: what was counted since the last becomes a speed. A service that began anew counts from 0. */
void watched_take(struct watched *w, const struct service_metrics *m, double now_ms);

/* What an instance with the service's memory would have cost on Cloud Run since this one began, were it
 * billed all the time: the most that it can be. NAN: it does not say since when or how large. now_s: since
 * 1970. */
double watched_cost(const struct watched *w, const struct prices *p, const char *region, double now_s);

json_t *watched_json(const struct watched *w); /* a new reference */

/* As lines of at most `width` columns, to out; each ends with end ("\n", or what also clears the line). How
 * many. now_s: since 1970. */
int watched_draw(const struct watched *w, double now_s, int width, const char *end, FILE *out);

struct watch_options {
    const char *which;   /* a name, an address, or NULL for all services */
    const char *api_key; /* may be NULL */
    const char *region;
    double seconds; /* between looks */
    int count;      /* looks; 0: until Ctrl-C */
    bool json;      /* also on a terminal */
};

/* Until Ctrl-C, which is no error, or the last look. */
bool watch(const struct watch_options *o, struct err *e);

#endif
