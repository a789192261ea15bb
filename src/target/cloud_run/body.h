/* body.h: a service of Cloud Run as JSON (GoogleCloudRunV2Service): what is sent, and how far what is there
 * is from it. Nothing is asked or sent here. NULL or false without an error: no memory. */
#ifndef FERRY_TARGET_CLOUD_RUN_BODY_H
#define FERRY_TARGET_CLOUD_RUN_BODY_H

#include "target/cloud_run.h"

#include <jansson.h>

/* The secret that FERRY_API_KEY comes from; secret NULL: none is asked for. */
struct body_key {
    const char *secret, *version;
};

/* image: with its digest. account: the runtime account's address. */
json_t *body_make(const struct target_spec *s, const char *image, const char *account,
                  const struct body_key *key);

/* All traffic to the newest revision; to that one (its short name). */
json_t *body_traffic_latest(void);
json_t *body_traffic_to(const char *revision);

/* The fields of wanted that `is` does not have like that: "template,traffic"; "": none. What the service has
 * beyond it (defaults that Google fills in) does not count. In the arena; NULL: no memory. */
char *body_mask(const json_t *wanted, const json_t *is, struct arena *a);

/* The short name of the revision that gets the requests; NULL: none, or several share them. */
const char *body_serving(const json_t *service);

/* A variable of its container; NULL: not there. */
const char *body_variable(const json_t *service, const char *name);
/* {"secret", "version"} that such a variable comes from; NULL: it is not there, or not from a secret. */
const json_t *body_secret(const json_t *service, const char *name);

/* "a/b/c": "c". */
const char *body_last(const char *name);

#endif
