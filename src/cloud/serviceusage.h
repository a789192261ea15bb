/* serviceusage.h: which of Google's APIs a project has enabled (Service Usage v1). Any thread. */
#ifndef FERRY_CLOUD_SERVICEUSAGE_H
#define FERRY_CLOUD_SERVICEUSAGE_H

#include "cloud/cloud.h"
#include "cloud/operation.h"

enum { API_MAX = 20 }; /* as many as one call takes */

/* enabled[i] of apis[i] ("run.googleapis.com"). */
bool api_enabled(struct cloud *c, const char *project, const char *const *apis, int count, bool *enabled,
                 struct err *e);

/* Enables them and waits. Without an open billing account Google refuses: cloud_explain's words. */
bool api_enable(struct cloud *c, const char *project, const char *const *apis, int count,
                const struct wait *w, struct err *e);

#endif
