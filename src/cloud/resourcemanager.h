/* resourcemanager.h: projects (Resource Manager v1). Who may do what in one: policy.h. Any thread. */
#ifndef FERRY_CLOUD_RESOURCEMANAGER_H
#define FERRY_CLOUD_RESOURCEMANAGER_H

#include "base/arena.h"
#include "cloud/cloud.h"

struct project {
    const char *id, *number; /* in the arena */
    bool active;             /* not about to be deleted */
};

/* One that does not exist and one that the caller may not see answer alike: ERR_AUTH. */
bool project_get(struct cloud *c, const char *id, struct arena *a, struct project *out, struct err *e);

/* granted[i]: whether the caller has permissions[i] ("run.services.create") on the project. */
bool project_permissions(struct cloud *c, const char *id, const char *const *permissions, int count,
                         bool *granted, struct err *e);

#endif
