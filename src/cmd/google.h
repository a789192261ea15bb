/* google.h: Google's side of commands about services: whose project, and a cloud to ask.
 *
 * Project: --project, else gcloud's (CLOUDSDK_CORE_PROJECT, GOOGLE_CLOUD_PROJECT, its active configuration).
 * Region: --region, else gcloud's run/region. */
#ifndef FERRY_CMD_GOOGLE_H
#define FERRY_CMD_GOOGLE_H

#include "cmd/option.h"
#include "store/store.h"
#include "target/target.h"

struct google_settings {
    const char *project, *region;
};

/* Rows for those two, with offsets from the start of a struct whose first member is struct google_settings.
 */
extern const struct option_group google_group;

struct google {
    struct stores *stores; /* NULL: no project is known, nothing of Google's is asked */
};

/* Fills in cloud, project and region of the run. Without a project: true, and the run has no cloud. */
bool google_open(struct google *g, const struct google_settings *s, struct target_run *r, struct err *e);
/* The same, but no project is ERR_USAGE. */
bool google_need(struct google *g, const struct google_settings *s, struct target_run *r, struct err *e);
void google_close(struct google *g);

/* The ID token for a service that wants one, "Bearer …", into out; it was not wanted: "". */
enum { GOOGLE_IDENTITY_BYTES = 4096 };
bool google_identity(const struct target_service *s, char out[GOOGLE_IDENTITY_BYTES], struct err *e);

/* The API key of a service that has one in Secret Manager, in the arena; *key stays as it is for others.
 * False with *e set: ERR_AUTH, the caller may not read it. */
bool google_key(const struct target_service *s, struct arena *a, const char **key, struct err *e);

#endif
