/* plan_prediction.h: what a plan said of a service, beside what the service then did; kept in
 * $XDG_STATE_HOME/ferry/predictions.json (plan_state.h), so that a plan can say how far earlier ones were
 * off. */
#ifndef FERRY_CMD_PLAN_PREDICTION_H
#define FERRY_CMD_PLAN_PREDICTION_H

#include "base/arena.h"
#include "base/err.h"
#include "plan/span.h"

#include <jansson.h>

enum predicted_what {
    PREDICTED_COLD_FIRST_TOKEN, /* seconds, from the first contact of a caller */
    PREDICTED_LOADED,           /* seconds, likewise, until all weights were there */
    PREDICTED_FIRST_TOKEN,      /* seconds, of a service that is loaded */
    PREDICTED_TOKENS,           /* a second, of one answer behind its first */
    PREDICTED_MEMORY, /* bytes that the process holds, loaded: from its weights to all it may take */
    PREDICTED_WHATS,
};

/* What a comparison is about. */
struct prediction_of {
    char date[16]; /* "2026-11-25" */
    char service[64];
    char model[256];   /* its URI or folder */
    char where[64];    /* "cloud-run asia-northeast1", "here" */
    char encoding[16]; /* "as stored" */
    int vcpu, gib;     /* gib 0: not limited */
};

struct prediction {
    struct prediction_of of;
    enum predicted_what what;
    struct span predicted;
    double measured; /* > 0 */
};

enum { PREDICTIONS_MOST = 256 };
struct predictions {
    struct prediction items[PREDICTIONS_MOST]; /* newest last; the oldest goes when there are more */
    int count;
};

/* None yet is fine. False with *e set: the file is not what it should be. */
bool predictions_read(struct predictions *p, struct arena *a, struct err *e);
bool predictions_write(const struct predictions *p, struct arena *a, struct err *e);
/* The text of that file. */
bool predictions_parse(struct predictions *p, const char *text, size_t size, struct err *e);
void predictions_add(struct predictions *p, const struct prediction *one);

/* Keeps those of that model, or of that place, alone. */
void predictions_only(struct predictions *p, const char *model, const char *where);

/* Those of fresh behind the ones that are kept already. */
bool predictions_keep(const struct predictions *fresh, struct arena *a, struct err *e);

/* How much more was measured than the middle of what was predicted, in percent. */
double prediction_error_percent(const struct prediction *p);
bool prediction_holds(const struct prediction *p); /* measured within it */

/* "cold_first_token_seconds", …: what it is called in files. */
extern const char *const predicted_keys[PREDICTED_WHATS];

/* As an array: what was read with predictions_parse, and error_percent and holds. NULL: no memory. */
json_t *predictions_json(const struct predictions *p);

#endif
