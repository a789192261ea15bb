/* call.h: cloud_call for callers who must know how often it was tried, and answers gathered in memory. */
#ifndef FERRY_CLOUD_CALL_CALL_H
#define FERRY_CLOUD_CALL_CALL_H

#include "cloud/cloud.h"

enum { JSON_MAX_BYTES = 8 << 20 };

/* As cloud_call and cloud_json. *tries: how many requests went out; more than one means that an earlier one
 * may have worked although its answer was lost. */
bool cloud_call_counted(struct cloud *c, const struct http_request *q, int flags, struct http_reply *r,
                        int *tries, struct err *e);
json_t *cloud_json_counted(struct cloud *c, const struct http_request *q, int flags, struct http_reply *r,
                           int *tries, struct err *e);

/* What a rehearsal does with a request. */
void cloud_tell(const struct cloud *c, const char *method, const char *url, const json_t *body);

/* A body as it comes in. Zeroed is empty; body_clear frees. */
struct body {
    char *bytes; /* a NUL behind them */
    size_t size, room, ceiling;
};
bool body_take(void *body, const char *bytes, size_t size, struct err *e); /* an http_data_fn */
void body_clear(struct body *b);

/* The whole of a body as JSON. NULL with *e (ERR_CORRUPT) set. */
json_t *body_json(const struct body *b, struct err *e);

#endif
