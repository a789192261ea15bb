/* policy.h: who may do what: IAM policies, read, changed and written back under their etag. Any thread.
 *
 *   struct policy_place p = {.kind = POLICY_BUCKET, .names = {"model-bkt"}};
 *   policy_grant(c, &p, "roles/storage.objectViewer", "serviceAccount:run@p.iam.gserviceaccount.com", &was,
 * e);
 *
 * When somebody else changes the policy in between it is read again, a few times. */
#ifndef FERRY_CLOUD_POLICY_H
#define FERRY_CLOUD_POLICY_H

#include "cloud/cloud.h"

enum policy_kind {
    POLICY_BUCKET,  /* bucket */
    POLICY_PROJECT, /* project */
    POLICY_SERVICE, /* project, region, service of Cloud Run */
    POLICY_SECRET,  /* project, secret */
};

struct policy_place {
    enum policy_kind kind;
    const char *names[3];
};

/* The policy as it is: "bindings", "etag". NULL with *e set. */
json_t *policy_get(struct cloud *c, const struct policy_place *p, struct err *e);

/* The member has the role afterwards, unconditionally. *changed (may be NULL): it had not before. A service
 * account that was made a moment ago is not known everywhere at once: ERR_USAGE ("does not exist") may go
 * away. */
bool policy_grant(struct cloud *c, const struct policy_place *p, const char *role, const char *member,
                  bool *changed, struct err *e);
/* The member has it no more; role NULL: none at all. */
bool policy_revoke(struct cloud *c, const struct policy_place *p, const char *role, const char *member,
                   bool *changed, struct err *e);

/* Of a policy alone: whether the member has the role without a condition. */
bool policy_has(const json_t *policy, const char *role, const char *member);

#endif
