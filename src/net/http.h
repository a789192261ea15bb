/* http.h: one HTTP or HTTPS request at a time, the answer handed over as it streams in.
 *
 *   struct http *h = http_new(e);
 *   struct http_request q = {.method = "POST", .url = url, .body = json, .body_size = n,
 *                            .content_type = "application/json", .on_data = show, .arg = &screen};
 *   if (http_send(h, &q, &reply, e) && reply.status == 200) …
 *
 * libcurl does the work, so http_proxy, https_proxy and no_proxy count, as do CURL_CA_BUNDLE, SSL_CERT_FILE
 * and SSL_CERT_DIR for certificates. The library is loaded by http_new, not with the program: it drags in
 * some twenty others (Kerberos, LDAP, RTMP, SSH, …), which cost every start 3 ms and 2 MB, and serving needs
 * none of them. Where it is missing http_new says so.
 *
 * Nothing here prints, and no message contains a header or a body that was sent. One thread per client. */
#ifndef FERRY_NET_HTTP_H
#define FERRY_NET_HTTP_H

#include "base/err.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

struct http;

/* Takes the next bytes of the body; false with *e set ends the request. */
typedef bool (*http_data_fn)(void *arg, const char *bytes, size_t size, struct err *e);

struct http_request {
    const char *method;       /* "GET", "POST" */
    const char *url;          /* http:// or https:// */
    const char *content_type; /* of the body */
    const char *accept;       /* NULL: anything */
    const void *body;         /* NULL: none; stays the caller's */
    size_t body_size;
    const char *bearer;  /* Authorization: Bearer …; NULL: none */
    int connect_seconds; /* 0: 30 */
    int stall_seconds;   /* no byte in either direction for so long ends it; 0: 300, a cold start's worth */
    const volatile sig_atomic_t *stop; /* when it becomes nonzero the request ends within a second */
    http_data_fn on_data;              /* the body of a 2xx answer */
    void *arg;                         /* on_data's */
};

struct http_reply {
    int status;
    int retry_after_seconds; /* 0 when the answer did not say */
    char content_type[96];
    char location[512]; /* where a redirect points; redirects are not followed */
    char problem[4096]; /* the first bytes of the body when the status is not 2xx */
};

/* NULL with *e set: libcurl cannot be loaded, or memory is short. */
struct http *http_new(struct err *e);
void http_free(struct http *h); /* NULL is fine */

/* True when a whole answer came, whatever its status. False with *e set: ERR_TRANSIENT (no connection,
 * broken, stalled), ERR_CANCELLED (*stop), ERR_USAGE (not a URL), or what on_data said. */
bool http_send(struct http *h, const struct http_request *q, struct http_reply *r, struct err *e);

#endif
