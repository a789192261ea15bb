/* url.h: putting URLs together and taking them apart (RFC 3986). Stateless. */
#ifndef FERRY_NET_URL_H
#define FERRY_NET_URL_H

#include "base/arena.h"

#include <stdbool.h>
#include <stddef.h>

/* A name as it stands in a URL, in the arena; NULL when memory is short. Unreserved characters stay, all else
 * becomes %XX. */
char *url_segment(struct arena *a, const char *text); /* one segment of a path: "/" becomes %2F */
char *url_path(struct arena *a, const char *text);    /* the same, but "/" stays */
#define url_query url_segment

enum { URL_ORIGIN_BYTES = 300 }; /* a host name has at most 253 */

/* "scheme://host[:port]" of a URL in lower case, without the scheme's usual port, into out (room bytes).
 * False: not http(s), no host, a name or password before it, a space or control character anywhere, or it
 * does not fit. */
bool url_origin(const char *url, char *out, size_t room);
bool url_same_origin(const char *a, const char *b);

/* A URL without its query, fragment, name and password, for messages: a signed URL's secret is in its query.
 */
char *url_bare(struct arena *a, const char *url);

#endif
