/* bucket_plan.h: what a bucket for models looks like, and how far one that exists is from it. JSON of the
 * storage API in, JSON out: nothing is asked or sent. */
#ifndef FERRY_DOCTOR_BUCKET_PLAN_H
#define FERRY_DOCTOR_BUCKET_PLAN_H

#include <jansson.h>
#include <stdbool.h>

enum { BUCKET_ABORT_DAYS = 7, BUCKET_UNSAID = -1 };

/* Regional, Standard, uniform access, public access prevention enforced, unfinished uploads removed after
 * seven days: always. The rest: */
struct bucket_wish {
    const char *region;   /* "asia-northeast1"; NULL: any one region */
    int expire_days;      /* objects are deleted after so many days; BUCKET_UNSAID: as it is */
    int soft_delete_days; /* deleted objects are kept so long; 0: not at all; BUCKET_UNSAID: as it is */
};

/* What creates it. NULL: no memory. */
json_t *bucket_body(const char *name, const struct bucket_wish *w);

enum bucket_state {
    BUCKET_FINE,
    BUCKET_DIFFERS, /* a patch sets it right */
    BUCKET_STUCK,   /* cannot be changed on a bucket that exists */
};

struct bucket_fact {
    const char *name; /* "location" */
    char is[200], wanted[60];
    enum bucket_state state;
};

enum { BUCKET_FACTS = 7 };

void bucket_compare(const json_t *bucket, const struct bucket_wish *w,
                    struct bucket_fact facts[BUCKET_FACTS]);
int bucket_count(const struct bucket_fact facts[BUCKET_FACTS], enum bucket_state state);

/* What PATCH sends to set right all that differs; rules of the lifecycle that are not ours stay. NULL: no
 * memory. */
json_t *bucket_fix(const json_t *bucket, const struct bucket_wish *w);

#endif
