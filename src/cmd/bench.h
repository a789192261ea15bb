/* bench.h: `ferry bench`: a service asked again and again, and what came of it.
 *
 *   bench_load.c    asks: in a closed loop, at a rate, or once
 *   bench_stats.c   from samples to a row
 *   bench_json.c    rows to a file and back
 *   bench_predict.c beside what a plan says
 *   bench_report.c  rows as tables; bench_charts.c as pictures */
#ifndef FERRY_CMD_BENCH_H
#define FERRY_CMD_BENCH_H

#include "base/arena.h"
#include "base/err.h"
#include "cmd/plan_prediction.h"
#include "cmd/report.h"
#include "cmd/service_metrics.h"
#include "net/http.h"
#include "plan/cloud_run.h"
#include "plan/prices.h"
#include "target/target.h"

#include <jansson.h>
#include <signal.h>

enum bench_kind {
    BENCH_CLOSED, /* `level` requests at a time, each followed by the next */
    BENCH_OPEN,   /* `level` requests a second at random times, whoever is still waiting */
    BENCH_LENGTH, /* `level` seconds of recording in each, one at a time */
    BENCH_COLD,   /* one request to a service of which no instance runs */
    BENCH_KINDS,
};
extern const char *const bench_kind_names[]; /* "closed", … */

enum { BENCH_POINTS = 48, BENCH_TEXT = 256, BENCH_AT_A_TIME = 256, BENCH_LEVELS = 12 };

/* By nearest rank: each is a value that was measured. NAN: none was. */
struct bench_percentiles {
    double p50, p90, p99;
};

struct bench_point {
    enum bench_kind kind;
    double level; /* 0 for BENCH_COLD */
    int requests; /* answered */
    int failed;
    char failure[BENCH_TEXT]; /* the first one's reason */
    double seconds;           /* from the first request to the last answer */
    double busy_seconds;      /* of these, with at least one request under way: what is billed */
    double tokens;            /* of all answers */
    struct bench_percentiles first_ms, total_ms;
    struct bench_percentiles tokens_per_second; /* of one answer, behind its first token */
    double usd_per_1000;                        /* NAN: unknown */
};

struct bench_result {
    char ferry[BENCH_TEXT], date[BENCH_TEXT]; /* version; RFC 3339 */
    char service[BENCH_TEXT], model[BENCH_TEXT];
    double audio_seconds; /* of each request but for BENCH_LENGTH; 0: text alone */
    int max_tokens;
    struct run_shape shape; /* whose price is told; vcpu 0: unknown */
    char region[BENCH_TEXT], prices[BENCH_TEXT];
    struct bench_point points[BENCH_POINTS];
    int count;
};

/* --- bench_load.c --- */

/* One request's way; ms of one monotonic clock. */
struct bench_sample {
    double due_ms;  /* when it was to be sent: what its sender is late counts as waiting */
    double sent_ms; /* when it was */
    double first_ms, end_ms;
    double tokens_per_second; /* 0: too few tokens to tell */
    int tokens;
    bool ok;
};

/* What is asked, whom. */
struct bench_ask {
    struct http *http;
    const char *url;      /* of chat/completions */
    const char *key;      /* NULL: none */
    const char *identity; /* an ID token, "Bearer …"; NULL: none */
    const char *body;     /* JSON */
    const volatile sig_atomic_t *stop;
};

/* How: at_a_time requests, per_second 0: each followed by the next, until `seconds` are over or `requests`
 * (0: no limit) are sent. Otherwise so many a second, at times that a Poisson process would choose (the same
 * ones each time), and at_a_time is how many may wait for an answer. */
struct bench_pace {
    int at_a_time;
    double per_second, seconds;
    int requests;
};

struct bench_samples {
    struct bench_sample *items; /* from malloc */
    int count, room;
    char failure[BENCH_TEXT]; /* of the first that failed */
};
void bench_samples_clear(struct bench_samples *s);

/* One. False with *e set: it was not answered. */
bool bench_once(const struct bench_ask *q, double due_ms, struct bench_sample *out, struct err *e);

/* False with *e set: interrupted, no memory. Requests that fail are samples. */
bool bench_load(const struct bench_ask *q, const struct bench_pace *pace, struct bench_samples *out,
                struct err *e);

/* --- bench_predict.c --- */

/* Adds comparisons with what a plan says of the service's model, where it runs, at the default --context and
 * --kv: of one request at a time, of cold starts on Cloud Run, of memory. now: what the service says of
 * itself. False with *e set: its model cannot be read, or Ferry's engine does not run it. */
bool bench_predict(const struct bench_result *b, const struct target_service *s,
                   const struct service_metrics *now, struct predictions *out, struct arena *a,
                   struct err *e);

/* --- bench_sound.c --- */

/* A wav file (16 kHz, 16 bits, mono) of that many seconds, from malloc: samples (of 16 kHz) over and over;
 * count 0: something like a voice, the same each time. NULL: no memory. */
char *bench_wav(const float *samples, size_t count, double seconds, size_t *size);

/* --- bench_stats.c --- */

/* values: sorted in place. */
struct bench_percentiles bench_percentiles_of(double *values, int count);

/* False: no memory. usd_per_1000 stays NAN. */
bool bench_point_of(struct bench_point *p, enum bench_kind kind, double level, const struct bench_samples *s);

/* What 1,000 requests would cost if this were an instance of that shape on Cloud Run, billed by request: the
 * time in which any is under way, and each of them; without free amounts. NAN: unknown. */
double bench_usd_per_1000(const struct bench_point *p, const struct prices *prices, struct run_shape shape,
                          const char *region);

/* The point of the same kind and level. NULL: none. */
const struct bench_point *bench_find(const struct bench_result *r, const struct bench_point *like);

/* "1,2,4" into levels, each within least..most; "none" is none. False with *e (ERR_USAGE) set. */
bool bench_levels(const char *text, const char *option, double least, double most, bool whole,
                  double levels[BENCH_LEVELS], int *count, struct err *e);

/* --- bench_json.c --- */

json_t *bench_json(const struct bench_result *r); /* a new reference; NULL: no memory */

/* False with *e (ERR_CORRUPT) set: which field of what is not as bench_json writes it. */
bool bench_parse(const char *text, size_t size, struct bench_result *r, struct err *e);

/* --- bench_report.c, bench_html.c --- */

/* old: an earlier run to compare with, or NULL. */
void bench_report(struct report *report, const struct bench_result *r, const struct bench_result *old);

/* "4 at a time", "2.5 a second", "10 s of audio", "cold start". */
const char *bench_point_name(struct report *report, const struct bench_point *p);

/* One page that loads nothing. report: bench_report's; its strings may grow. */
void bench_html(struct report *report, const struct bench_result *r, FILE *out);

#endif
