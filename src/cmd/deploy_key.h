/* deploy_key.h: the API key of a service on Cloud Run: which secret it comes from, and one that was made,
 * shown once. */
#ifndef FERRY_CMD_DEPLOY_KEY_H
#define FERRY_CMD_DEPLOY_KEY_H

#include "cmd/deploy_cloud.h"

#include <stdio.h>

enum { DEPLOY_KEY_BYTES = 64 };

/* What cloud_run's on_key has heard; zeroed: nothing. */
struct deploy_key {
    char text[DEPLOY_KEY_BYTES], secret[300];
};

/* --public, --no-key and --key-secret, against each other and into *o, whose key goes to *k. Text in a. */
bool deploy_key_settle(const struct deploy_cloud *d, struct deploy_key *k, struct cloud_run_options *o,
                       struct arena *a, struct err *e);

/* A key that was made, and how it is used; then it is forgotten. url: the service's, NULL: it has none yet.
 */
void deploy_key_show(struct deploy_key *k, const char *service, const char *url, FILE *out);

#endif
