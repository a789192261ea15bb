/* ranged.h: a range of bytes that comes whole, over as many answers as it takes. One thread.
 *
 *   struct ranged g = {.offset = …, .size = …, .into = …};     or .take and .arg
 *   while (ranged_wanted(&g, &q, &reply)) {  q asks for what is missing, into its place
 *       sent = …send q, &reply…;
 *       if (!ranged_take(&g, sent, &reply, e)) … retry or give up: *e says why
 *   } */
#ifndef FERRY_CLOUD_CALL_RANGED_H
#define FERRY_CLOUD_CALL_RANGED_H

#include "net/http.h"

struct ranged {
    uint64_t offset, size, got;
    int64_t generation; /* of an object: an answer about another one is ERR_BUSY; 0: not looked at */
    char *into;         /* NULL: bytes of proper answers go to take, in order, each once */
    http_data_fn take;  /* false with *e set ends the range */
    void *arg;
    bool moved;   /* the last answer brought something */
    bool refused; /* by take: nothing more makes sense */
    struct err why;

    const struct http_reply *reply; /* to the request under way */
    uint64_t came;                  /* what it brought so far, without into */
};

/* g and r must stay where they are until the answer is there. */
bool ranged_wanted(struct ranged *g, struct http_request *q, const struct http_reply *r);

/* Counts what a proper 206 brought, whether the answer ended well or broke. True: as far as this answer goes
 * nothing is missing. False with *e set: the connection's fault (kept), or an answer that is not the range
 * (ERR_TRANSIENT; nothing of it is counted). Statuses that are not 2xx are the caller's: call it only for 2xx
 * and for sent == false. */
bool ranged_take(struct ranged *g, bool sent, const struct http_reply *r, struct err *e);

#endif
