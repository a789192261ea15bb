/* url.h: putting URLs together and taking them apart (RFC 3986). Stateless. */
#ifndef FERRY_NET_URL_H
#define FERRY_NET_URL_H

#include "base/arena.h"

#include <stdbool.h>
#include <stddef.h>

/* A growing URL of at most `room` bytes in the arena. Names in a path are percent-encoded as one segment
 * ("/" becomes %2F), except by url_path, which keeps the slashes. All answer NULL when memory is short. */
char *url_segment(struct arena *a, const char *text); /* unreserved characters stay, all else is %XX */
char *url_path(struct arena *a, const char *text);    /* the same, but "/" stays */
#define url_query url_segment

/* "scheme://host[:port]" of a URL, into out (room bytes); false: not http(s), or it does not fit. */
bool url_origin(const char *url, char *out, size_t room);
bool url_same_origin(const char *a, const char *b);

/* A URL without its query and fragment, for messages: a signed URL's secret is in its query. */
char *url_bare(struct arena *a, const char *url);

#endif
