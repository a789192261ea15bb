/* endpoints.h: what routes.c names, apart from Cloud Storage. */
#ifndef FERRY_EMULATOR_ENDPOINTS_H
#define FERRY_EMULATOR_ENDPOINTS_H

#include "exchange.h"

/* oauth.c */
void token_request(struct exchange *x);

/* metadata.c */
void metadata_root(struct exchange *x);
void metadata_get(struct exchange *x);

/* hub.c */
void hub_revision(struct exchange *x);
void hub_tree(struct exchange *x);
void hub_resolve(struct exchange *x);
void hub_resolve_cache(struct exchange *x);
void cdn_get(struct exchange *x);

/* artifact.c: Artifact Registry's API, and its registry of images */
void begin_artifact(struct exchange *x);
void repositories_create(struct exchange *x);
void repositories_list(struct exchange *x);
void repositories_get(struct exchange *x);
void repositories_delete(struct exchange *x);
void images_list(struct exchange *x);
void images_delete(struct exchange *x);
void artifact_operations_get(struct exchange *x);
void begin_registry(struct exchange *x);
void begin_registry_put(struct exchange *x);
void registry_ping(struct exchange *x);
void registry_blob_get(struct exchange *x);
void registry_upload_begin(struct exchange *x);
void registry_upload_put(struct exchange *x);
void registry_manifest_get(struct exchange *x);
void registry_manifest_put(struct exchange *x);

/* project.c: Service Usage, service accounts, log entries */
void begin_usage(struct exchange *x);
void usage_batch_get(struct exchange *x);
void usage_batch_enable(struct exchange *x);
void usage_operations_get(struct exchange *x);
void begin_iam(struct exchange *x);
void accounts_create(struct exchange *x);
void accounts_list(struct exchange *x);
void accounts_get(struct exchange *x);
void accounts_delete(struct exchange *x);
void entries_list(struct exchange *x);
void control_entry(struct exchange *x); /* a test's: a log entry, as it is given */

/* catalog.c: the Cloud Billing Catalog */
void catalog_skus(struct exchange *x);

/* control.c: the test's own questions */
void control_faults(struct exchange *x);
void control_idle(struct exchange *x);
void control_log_clear(struct exchange *x);
void control_invalid_forget(struct exchange *x);

#endif
