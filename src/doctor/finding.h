/* finding.h: what the doctor has found. Texts are in the language of who reads them (base/catalog.h), or as a
 * service of somebody else's has said them (reason). One thread. */
#ifndef FERRY_DOCTOR_FINDING_H
#define FERRY_DOCTOR_FINDING_H

#include "base/arena.h"

#include <stdbool.h>

enum severity {
    SEVERITY_FINE,
    SEVERITY_NOTE,    /* worth knowing; nothing is wrong */
    SEVERITY_WARNING, /* costs money, or will fail one day */
    SEVERITY_PROBLEM, /* something does not work */
};

enum certainty {
    CERTAINTY_CERTAIN, /* an answer says so */
    CERTAINTY_LIKELY,  /* it follows from answers that could have another reason */
    CERTAINTY_UNKNOWN, /* it is so, but the reason cannot be asked for: candidates */
};

/* What could be the reason, and how to tell whether it is. */
struct candidate {
    const char *cause, *sign;
};

/* What `ferry doctor --fix` may do about it. */
enum remedy {
    REMEDY_NONE,
    REMEDY_ENABLE_APIS, /* items: "run.googleapis.com" */
    REMEDY_FIX_BUCKET,  /* items[0]: its name; what `ferry bucket fix` sets */
    REMEDY_END_UPLOADS, /* items[0]: bucket; then pairs of object and upload id */
    REMEDY_GRANT_READ,  /* items: bucket, "serviceAccount:…" */
    REMEDY_HIDE_FILE,   /* items[0]: path; mode 0600 */
};

enum { CANDIDATES_MOST = 8, ITEMS_MOST = 64, FINDINGS_MOST = 128, SKIPPED_MOST = 64 };

struct finding {
    const char *check, *id; /* "billing", "billing-closed" */
    enum severity severity;
    enum certainty certainty;
    const char *what;     /* what is so; one sentence */
    const char *why;      /* why it matters; NULL when fine */
    const char *next;     /* one step: a command or a link; NULL when fine */
    const char *reason;   /* an answer's own words; NULL: none */
    double usd_per_month; /* what it costs to leave it; NAN: nothing, or not known */
    struct candidate candidates[CANDIDATES_MOST];
    int candidate_count;
    enum remedy remedy;
    const char *items[ITEMS_MOST]; /* of the remedy */
    int item_count;
};

/* What could not be looked at, and why. */
struct skipped {
    const char *check, *question;
    const char *reason;
};

struct findings {
    struct arena *arena; /* of all strings; the caller's */
    struct finding items[FINDINGS_MOST];
    int count;
    int lost; /* more than there is room for, or no memory */
    struct skipped skipped[SKIPPED_MOST];
    int skipped_count;
};

int findings_of(const struct findings *f, enum severity severity);

#endif
