/* permissions.h: what a caller must be allowed to do, and the least role of Google's that has it. */
#ifndef FERRY_DOCTOR_CHECK_PERMISSIONS_H
#define FERRY_DOCTOR_CHECK_PERMISSIONS_H

struct permission {
    const char *name, *role;
    const char *what_for; /* a command: "ferry deploy" */
};

/* Of who deploys, on the project. The n-th; a NULL name behind the last. */
extern const struct permission permissions_of_project[];
/* Of who copies, on the bucket. */
extern const struct permission permissions_of_bucket[];

#endif
