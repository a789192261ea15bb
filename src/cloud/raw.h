/* raw.h: an answer as it came, whatever it is, for those who judge it later (`ferry doctor`): nothing is an
 * error here but a lack of memory. Any thread.
 *
 *   {"request":"GET run /v2/projects/p/…","status":403,"skew_seconds":-2,"body":{…}}
 *   {"request":…,"status":200,"text":"<…>"}       what is not JSON, at most RAW_TEXT_BYTES of it
 *   {"request":…,"error":"…"}                      no answer came, or there is no token to ask with
 *
 * skew_seconds: how far this machine's clock is ahead of the answer's Date. No token stands in it. */
#ifndef FERRY_CLOUD_RAW_H
#define FERRY_CLOUD_RAW_H

#include "cloud/cloud.h"
#include "cloud/hub.h"

enum { RAW_BYTES = 4 << 20, RAW_TEXT_BYTES = 64 << 10 };

struct raw_request {
    const char *api, *method; /* "run", "GET" */
    const char *path;         /* from the slash on, encoded */
    const json_t *body;       /* NULL: none */
    int flags;                /* enum cloud_flags */
};

/* A reference of the caller's; NULL: no memory. */
json_t *cloud_raw(struct cloud *c, const struct raw_request *q);

/* GET of a path of the hub ("/api/whoami-v2"), with its token where there is one: "token" says where that is
 * from ("HF_TOKEN"), "code" and "message" what the headers X-Error-Code and X-Error-Message say. */
json_t *hub_raw(struct hub *h, const char *path);

#endif
