/* load_feed.h: a thread that tells calls how far the load is while it lasts.
 *
 *   comments   into a stream of an answer that is waited for: ": loading 43 %, first token in about 12 s",
 * once a second; a stream that has not begun begins with the first of them events     of GET /v1/load as a
 * stream: one object every half second, the last when the load has ended, which ends the stream */
#ifndef FERRY_SERVE_HTTP_LOAD_FEED_H
#define FERRY_SERVE_HTTP_LOAD_FEED_H

#include "model/arrival.h"
#include "serve/http/call.h"

struct load_feed;

enum feed_kind { FEED_COMMENTS, FEED_EVENTS };

/* a must outlive it. NULL with *e set. */
struct load_feed *load_feed_new(struct arrival *a, struct err *e);
/* Ends every stream of events, tells nothing any more. NULL is fine. */
void load_feed_stop(struct load_feed *f);
void load_feed_free(struct load_feed *f); /* load_feed_stop if need be; NULL is fine */

/* From now on; takes a reference of its own. Nothing happens when the load has ended (an event stream is
 * ended then), when f is NULL, or when memory is short. Any thread. */
void load_feed_add(struct load_feed *f, struct call *c, enum feed_kind kind);
/* When it returns nothing of the feed is written into the call and nothing will be. A call that is not fed is
 * fine, and so is a NULL feed. */
void load_feed_remove(struct load_feed *f, struct call *c);

/* What an event says: {"object": "load", "state": …}, with every stage. NULL: no memory. */
json_t *load_json(struct arrival *a);

/* The text of a comment. */
enum { LOAD_COMMENT = 80 };
void load_comment(const struct arrival_progress *p, char out[LOAD_COMMENT]);

#endif
