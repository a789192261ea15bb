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

/* control.c: the test's own questions */
void control_faults(struct exchange *x);
void control_idle(struct exchange *x);
void control_log_clear(struct exchange *x);
void control_invalid_forget(struct exchange *x);

#endif
