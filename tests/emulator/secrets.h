/* secrets.h: Secret Manager. What a secret holds is told by versions.access alone. */
#ifndef FERRY_EMULATOR_SECRETS_H
#define FERRY_EMULATOR_SECRETS_H

#include "exchange.h"

/* routes; captures[0] is the project, [1] the secret, [2] the version */
void begin_secrets(struct exchange *x);
void secrets_create(struct exchange *x);
void secrets_get(struct exchange *x);
void secrets_list(struct exchange *x);
void secrets_delete(struct exchange *x);
void secrets_add_version(struct exchange *x);
void secret_versions_get(struct exchange *x);
void secret_versions_access(struct exchange *x);
void secrets_policy_get(struct exchange *x);
void secrets_policy_set(struct exchange *x);

/* Why a revision that runs as this account cannot have what {"secret", "version"} names; NULL: it can. In the
 * exchange's arena. */
const char *secret_problem_locked(struct exchange *x, const json_t *selector, const char *account);

#endif
