/* doctor_fix.h: `ferry doctor --fix`: what is safe to set right, each thing shown and asked for first. Safe
 * is what costs nothing, deletes nothing that anybody can still use, and gives nobody more than the service
 * needs. */
#ifndef FERRY_CMD_DOCTOR_FIX_H
#define FERRY_CMD_DOCTOR_FIX_H

#include "cloud/cloud.h"
#include "doctor/finding.h"

struct doctor_fix {
    struct cloud *cloud;
    const char *project;
    bool yes; /* --yes: nobody is asked */
    const volatile sig_atomic_t *stop;
    int done, failed; /* counted */
};

/* Each finding that has a remedy; what is done and what fails has a line on stderr each, and none stops
 * another. False with *e (ERR_UNCONFIRMED) set: there is nobody to ask. */
bool doctor_fix(struct doctor_fix *x, const struct findings *f, struct err *e);

#endif
