/* logging.h: log entries (Cloud Logging v2). Any thread. */
#ifndef FERRY_CLOUD_LOGGING_H
#define FERRY_CLOUD_LOGGING_H

#include "cloud/cloud.h"

/* Strings live until fn returns. */
struct log_line {
    const char *time;     /* RFC 3339 */
    const char *severity; /* "INFO"; "DEFAULT" when it has none */
    const char *text;     /* textPayload, or the message of jsonPayload, or the payload as JSON */
    const char *id;       /* the same for the same entry */
    const char *revision; /* of Cloud Run; "" otherwise */
    const json_t *entry;  /* the whole */
};
typedef bool (*log_line_fn)(void *arg, const struct log_line *l, struct err *e);

enum log_order { LOG_OLDEST_FIRST, LOG_NEWEST_FIRST };

/* Entries of a project that the filter lets through (Logging query language), `most` at most; 0: all. False
 * from fn ends it. */
struct log_query {
    const char *project, *filter;
    enum log_order order;
    int most;
};
bool log_each(struct cloud *c, const struct log_query *q, log_line_fn fn, void *arg, struct err *e);

#endif
