/* iam.h: service accounts (IAM API v1). Any thread. */
#ifndef FERRY_CLOUD_IAM_H
#define FERRY_CLOUD_IAM_H

#include "cloud/cloud.h"

/* "ServiceAccount" as JSON; email: "run@project.iam.gserviceaccount.com". Not there: ERR_NOT_FOUND. */
json_t *account_get(struct cloud *c, const char *project, const char *email, struct err *e);

/* id: what stands before the @ of its address, 6 to 30 of a-z, 0-9 and -. ERR_BUSY: it is there. Accounts
 * have no labels: the description says what it is for. */
struct account_new {
    const char *project, *id, *display_name, *description;
};
json_t *account_create(struct cloud *c, const struct account_new *n, struct err *e);

bool account_delete(struct cloud *c, const char *project, const char *email, struct err *e); /* gone: true */

/* Each of the project, as JSON: "email", "displayName", "description". */
typedef bool (*account_fn)(void *arg, const json_t *account, struct err *e);
bool account_each(struct cloud *c, const char *project, account_fn fn, void *arg, struct err *e);

#endif
