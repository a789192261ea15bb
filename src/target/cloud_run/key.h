/* key.h: the API key that callers of a service send, in Secret Manager: the user's secret, or one of our own,
 * "ferry-NAME-key", labelled managed-by=ferry, with the service and its region. A secret of our own holds 128
 * random bits as hexadecimal digits, made once: what is there is kept, so that a deploy again changes no
 * client, and a revision that gets its requests back still finds its key. */
#ifndef FERRY_TARGET_CLOUD_RUN_KEY_H
#define FERRY_TARGET_CLOUD_RUN_KEY_H

#include "target/cloud_run/body.h"

/* Before anything is made: that the user's secret can be read at all. */
bool key_check(struct target_run *r, const struct cloud_run_options *o, struct err *e);

/* The secret is there, holds a key, and the account `email` may read it; into *out what the body says of it
 * (secret NULL: no key is asked for). */
bool key_make(struct target_run *r, const struct target_spec *s, const char *email, struct body_key *out,
              struct err *e);

/* Before the service goes: a secret of the user's is no longer for its account. */
bool key_let_go(struct target_run *r, const struct target_service *s, struct err *e);
/* Our own is gone; none there is fine. */
bool key_remove(struct target_run *r, const char *name, struct err *e);

/* Secrets of our own that the caller may see; names of service and region in the arena. */
typedef bool (*key_fn)(void *arg, const char *service, const char *region, struct err *e);
bool key_each(struct target_run *r, key_fn fn, void *arg, struct err *e);

#endif
