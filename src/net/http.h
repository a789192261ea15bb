/* http.h: HTTP and HTTPS requests, the answer handed over as it streams in.
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
 * Any number of threads may send at once: each request borrows a connection that nobody uses, one to the same
 * host if there is one, and gives it back. HTTP/1.1, because a request of several megabytes wants a
 * connection of its own. Redirects are never followed: a 308 of Cloud Storage is not one, and a token must
 * not travel. Nothing is sent compressed or asked for so (Accept-Encoding: identity), unless a header says
 * it.
 *
 * Nothing here prints, and no message contains a header, a body or a query string. */
#ifndef FERRY_NET_HTTP_H
#define FERRY_NET_HTTP_H

#include "base/err.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http;

/* The file that http_new loads, "libcurl.so.4": where ferry is taken to, it must go along. */
extern const char http_library[];

/* Takes the next bytes of the body, when the reply's status and headers are there; false with *e set ends the
 * request. */
typedef bool (*http_data_fn)(void *arg, const char *bytes, size_t size, struct err *e);

struct http_reply;

/* Looks at status and headers as soon as they are there (not those of an interim answer); false with *e set
 * ends the request. */
typedef bool (*http_head_fn)(void *arg, const struct http_reply *r, struct err *e);

enum { HTTP_MAX_HEADERS = 12 };

struct http_header {
    const char *name, *value; /* value NULL: not sent */
};

/* A part of something, by offset: "Range: bytes=begin-(begin + size - 1)". */
struct http_range {
    uint64_t begin, size; /* size 0: the whole */
};

struct http_request {
    const char *method;       /* "GET", "HEAD", "PUT", "POST", "PATCH", "DELETE" */
    const char *url;          /* http:// or https:// */
    const char *content_type; /* of the body */
    const char *accept;       /* NULL: anything */
    const void *body;         /* NULL: none; stays the caller's */
    size_t body_size;
    int body_file;                                /* in place of body: the first body_size bytes of it */
    const char *bearer;                           /* Authorization: Bearer …; NULL: none */
    struct http_header headers[HTTP_MAX_HEADERS]; /* further ones; the first without a name ends them */
    const struct http_header *more;               /* where those are too few, ended likewise; or NULL */
    struct http_range range;
    int connect_seconds; /* 0: 30 */
    int stall_seconds;   /* no byte in either direction for so long ends it; 0: http_patience's */
    const volatile sig_atomic_t *stop; /* when it becomes nonzero the request ends within a second */

    /* Where the body of a 2xx answer goes: into memory of the caller's, else to on_data, else nowhere.
     * An answer that does not fit is ERR_LIMIT. With on_head: whatever its status, and problem stays empty.
     */
    void *into;
    size_t into_room;
    http_head_fn on_head;
    http_data_fn on_data;
    void *arg; /* on_head's and on_data's */
};

enum { HTTP_HEADER_BYTES = 8192 };

struct http_reply {
    int status;
    /* How often it was sent again because a kept connection ended without a byte of an answer; the first may
     * have been carried out all the same. */
    int resent;
    size_t size;             /* bytes of body that came (of a 2xx answer) */
    int retry_after_seconds; /* 0 when the answer did not say */
    char content_type[96];
    char location[4096];             /* where a redirect (3xx) points, made absolute */
    char problem[4096];              /* the first bytes of the body when the status is not 2xx */
    char headers[HTTP_HEADER_BYTES]; /* "name: value\n"…, names in lower case, those that fit; http_header */
};

/* NULL with *e set: libcurl cannot be loaded, or memory is short. per_host: connections to one host at a time
 * (0: no limit); more requests wait for one. */
struct http *http_new(struct err *e);
void http_limit(struct http *h, int per_host);
/* stall_seconds of requests that do not say; 300 unless told, a cold start's worth. Before the first request.
 */
void http_patience(struct http *h, int stall_seconds);
/* Once *stop is nonzero, requests under way and later ones go on as long as bytes move; one in which none
 * does for two seconds or so is ERR_CANCELLED. Before requests are under way. */
void http_wind_down(struct http *h, const volatile sig_atomic_t *stop);
bool http_winds_down(const struct http *h);
void http_free(struct http *h); /* NULL is fine */

/* True when a whole answer came, whatever its status; a body shorter than its Content-Length is
 * ERR_TRANSIENT. False with *e set: ERR_TRANSIENT (no connection, broken, stalled), ERR_CANCELLED (*stop,
 * winding down), ERR_USAGE (not a URL, a header with a line break, a certificate file that cannot be read),
 * ERR_LIMIT (into_room), ERR_CORRUPT (a certificate that is not the host's, no HTTP), or what on_data said.
 * After a failure *r still holds what came until then: status, headers, size. */
bool http_send(struct http *h, const struct http_request *q, struct http_reply *r, struct err *e);

/* The value of a header of the answer, or NULL. name in lower case. Copied into out (room bytes, cut). */
const char *http_header(const struct http_reply *r, const char *name, char *out, size_t room);

#endif
