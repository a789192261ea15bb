/* patient.h: what the checks share: reading the record, and saying what was found. */
#ifndef FERRY_DOCTOR_CHECK_PATIENT_H
#define FERRY_DOCTOR_CHECK_PATIENT_H

#include "base/catalog.h"
#include "cloud/problem.h"
#include "doctor/finding.h"
#include "plan/prices.h"

#include <jansson.h>
#include <stdint.h>

struct patient {
    const json_t *record;
    const struct prices *prices;
    struct findings *out;
    const char *check; /* which one judges now */
};

/* What an answer comes to. The order is that in which they are looked for. */
enum verdict {
    VERDICT_ABSENT, /* was not asked, because something it needs is not known */
    VERDICT_SILENT, /* no answer came */
    VERDICT_GOOD,
    VERDICT_API_OFF,       /* an API is not enabled: problem.service */
    VERDICT_BILLING,       /* no open billing account */
    VERDICT_TAX,           /* its tax information is incomplete */
    VERDICT_SUSPENDED,     /* the project */
    VERDICT_NO_PROJECT,    /* no such one, says the API */
    VERDICT_QUOTA_PROJECT, /* the project that pays for the calls is missing, or not the caller's to use */
    VERDICT_SCOPES,        /* of the token */
    VERDICT_LOGIN,         /* the token was refused */
    VERDICT_PERIMETER,     /* VPC Service Controls */
    VERDICT_RATE,
    VERDICT_FORBIDDEN,
    VERDICT_MISSING,
    VERDICT_OUTAGE,
    VERDICT_UNKNOWN,
};

struct answer {
    enum verdict verdict;
    int status;
    const json_t *whole, *body; /* body: of a good answer */
    struct cloud_problem problem;
    const char *reason; /* in its own words; "" when good */
};

struct answer answer_of(const struct patient *p, const char *question);
/* True when it is good; one that was asked and is not goes among what could not be looked at. */
bool answer_good(const struct patient *p, const char *question, struct answer *a);
/* The same of an answer that is not good. One that nobody has foreseen is a finding, in its own words. */
void unseen(const struct patient *p, const char *question, const struct answer *a);
void skip(const struct patient *p, const char *question, const char *reason);

/* The first answer of Google's of that verdict; false: none. */
bool answer_any(const struct patient *p, enum verdict v, const char **question, struct answer *a);

/* A text of the record's "subject" or "local"; "" when there is none. */
const char *subject(const struct patient *p, const char *name);
const json_t *local(const struct patient *p, const char *name);

/* JSON of others: never NULL; numbers may stand in quotes. path: "template.scaling.minInstanceCount". */
const json_t *at(const json_t *json, const char *path);
const char *text_at(const json_t *json, const char *path);
double number_at(const json_t *json, const char *path); /* 0 where there is none */
bool true_at(const json_t *json, const char *path);
const json_t *item_at(const json_t *array, size_t i);

/* --- what is found --- */

/* A new one, to be filled in; never NULL. */
struct finding *find(const struct patient *p, const char *id, enum severity severity,
                     enum certainty certainty, const char *what);
void fine(const struct patient *p, const char *id, const char *what);
void maybe(struct finding *f, const char *cause, const char *sign);
void remedy_item(struct finding *f, const char *item);

/* In the arena of the findings; say looks its format up in the catalog, verbatim (commands, links) does not.
 * "" when there is no memory. */
const char *say(const struct patient *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *verbatim(const struct patient *p, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* --- the checks, in the order in which things break --- */

void check_clock(struct patient *p);
void check_credentials(struct patient *p);
void check_project(struct patient *p);
void check_billing(struct patient *p);
void check_apis(struct patient *p);
void check_roles(struct patient *p);
void check_quota(struct patient *p);
void check_policies(struct patient *p);
void check_bucket(struct patient *p);
void check_service(struct patient *p);
void check_hub(struct patient *p);
void check_leftovers(struct patient *p);
void check_machine(struct patient *p);

#endif
