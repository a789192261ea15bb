/* ranged.h: a range of bytes that comes whole, over as many answers as it takes. One thread.
 *
 *   struct ranged g = {.offset = …, .size = …, .into = …};
 *   while (ranged_wanted(&g, &q)) {          q asks for what is missing, into its place
 *       sent = …send q…;
 *       if (!ranged_take(&g, sent, &reply, e)) … retry or give up: *e says why
 *   } */
#ifndef FERRY_CLOUD_CALL_RANGED_H
#define FERRY_CLOUD_CALL_RANGED_H

#include "net/http.h"

struct ranged {
    uint64_t offset;
    size_t size, got;
    char *into;
    bool moved; /* the last answer brought something */
};

bool ranged_wanted(const struct ranged *g, struct http_request *q);

/* Counts what a proper 206 brought, whether the answer ended well or broke. True: as far as this answer goes
 * nothing is missing. False with *e set: the connection's fault (kept), or an answer that is not the range
 * (ERR_TRANSIENT; nothing of it is counted). Statuses that are not 2xx are the caller's: call it only for 2xx
 * and for sent == false. */
bool ranged_take(struct ranged *g, bool sent, const struct http_reply *r, struct err *e);

#endif
