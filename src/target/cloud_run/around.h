/* around.h: what stands around a service of Cloud Run: APIs, runtime account, repository, image. Each looks
 * what is there, makes what is missing, and says it when it takes time. */
#ifndef FERRY_TARGET_CLOUD_RUN_AROUND_H
#define FERRY_TARGET_CLOUD_RUN_AROUND_H

#include "cloud/policy.h"
#include "target/cloud_run.h"

#include <jansson.h>

/* One line to who runs the command. */
void around_say(struct target_run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A second. ERR_CANCELLED: stopped. */
bool around_nap(struct target_run *r, struct err *e);

/* with_secrets: Secret Manager's, too. */
bool around_enable_apis(struct target_run *r, bool with_secrets, struct err *e);
/* Whether the API is on; one that is not has nothing of ours. Who may not ask is told that it is, and hears
 * from the API itself. */
bool around_api_is_on(struct target_run *r, const char *api, bool *on, struct err *e);

/* Whether a look that failed so means that there is nothing: not found, or, in a rehearsal, an API that is
 * off and that a deploy would turn on. */
bool around_is_nothing(struct target_run *r, const char *api, const struct err *problem);

/* "ferry-NAME", or what is left of a long NAME and a checksum of it (30 characters are allowed), at
 * PROJECT.iam.gserviceaccount.com. In the arena; NULL with *e set. */
char *around_account_email(struct target_run *r, const char *name, struct err *e);

/* The account is there, and may read the buckets that model and configuration lie in; its address into
 * *email. */
bool around_account(struct target_run *r, const struct target_spec *s, char **email, struct err *e);
/* The account may write into the model's bucket, or may no more. */
bool around_writer(struct target_run *r, const struct target_spec *s, const char *email, bool may,
                   struct err *e);
/* A member of a policy, which may be an account that was made a moment ago. *changed: it had not the role
 * before. */
bool around_grant(struct target_run *r, const struct policy_place *p, const char *role, const char *email,
                  bool *changed, struct err *e);
/* An account of the user's: it is there, as far as can be seen from this project. Nothing is changed; where
 * the policies of bucket and secret (NULL: none) do not name it, that and what would help is said. */
bool around_given_account(struct target_run *r, const struct target_spec *s, const char *secret,
                          struct err *e);
/* Rights and account are gone; none there, or one that is not ours, is fine. */
bool around_account_remove(struct target_run *r, const char *name, struct err *e);

/* Each of them, with what it says of itself. */
typedef cloud_run_memory_fn around_account_fn;
bool around_account_each(struct target_run *r, around_account_fn fn, void *arg, struct err *e);

bool around_repository(struct target_run *r, struct err *e);
bool around_repository_remove(struct target_run *r, const char *region, struct err *e);

/* Sends the image; its name with digest, in the arena. NULL with *e set. */
char *around_image(struct target_run *r, const struct cloud_run_options *o, struct err *e);

#endif
