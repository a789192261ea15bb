/* live_prices.h: which prices a command reckons with: today's, out of Google's catalog
 * (cloud/billing_catalog.h), where there are credentials for it; the dated snapshot's where there are none,
 * where the catalog does not answer within four seconds, and for what the catalog is not asked about.
 *
 * An answer is kept for a day in $XDG_CACHE_HOME/ferry (~/.cache/ferry), mode 0600. */
#ifndef FERRY_CMD_LIVE_PRICES_H
#define FERRY_CMD_LIVE_PRICES_H

#include "base/arena.h"
#include "base/err.h"
#include "cloud/billing_catalog.h"
#include "plan/prices.h"

#include <stddef.h>
#include <stdint.h>

/* How --prices and FERRY_PRICES call the snapshot in this program. */
#define PRICES_SNAPSHOT "snapshot"

struct price_question {
    const char *region;
    const char *which; /* NULL: as above; PRICES_SNAPSHOT; or the file of another snapshot */
    bool yen;          /* Google's rate is wanted, too */
};

struct price_news {
    int found, asked;   /* prices that are today's, of those the catalog was asked for; 0, 0: it was not */
    char date[11];      /* their day; "" */
    double yen_per_usd; /* Google's rate that day; 0: not asked, not known */
    const char *others; /* items it was asked for that stay the snapshot's, with commas; "" */
    struct err problem; /* why it did not answer; ERR_NONE: it did, or nobody asked */
};

/* NULL with *e set: the file that `which` names is none, no memory. Strings of the news are the arena's. */
struct prices *prices_read(const struct price_question *q, struct price_news *news, struct arena *a,
                           struct err *e);

/* Amounts are wanted in yen: what LC_ALL, LC_MONETARY and LANG say, the first that is set. */
bool prices_yen_wanted(void);

/* What an earlier run kept, if it was asked of the same place within the last day: *c is catalog_begin's.
 * now, *asked: seconds since 1970. */
bool prices_take_kept(struct catalog *c, const char *text, size_t size, const char *place, int64_t now,
                      int64_t *asked);

#endif
