/* canned.h: an HTTP server that says what the case has put into it, one answer per request, in order, and
 * keeps what it was asked. On 127.0.0.1, a port of its own; a thread serves one connection at a time. */
#ifndef FERRY_TESTS_CANNED_H
#define FERRY_TESTS_CANNED_H

#include <stddef.h>

struct canned;

struct canned *canned_start(void);
void canned_stop(struct canned *c);
const char *canned_url(const struct canned *c); /* "http://127.0.0.1:PORT" */

/* headers: lines, each with its "\r\n"; NULL: none. Content-Length is added. */
void canned_answer(struct canned *c, int status, const char *headers, const char *body);
void canned_raw(struct canned *c, const char *bytes); /* as it is; "" closes at once */
/* The connection stays, and the next answer goes to the next request on it. */
void canned_kept(struct canned *c, int status, const char *body);

int canned_count(struct canned *c); /* requests so far */
/* Request i: head and body, a NUL behind; "" when there was none. Until canned_stop or canned_forget. */
const char *canned_request(struct canned *c, int i);
const char *canned_body(struct canned *c, int i);
/* Answers that nobody fetched, and all requests. */
void canned_forget(struct canned *c);

/* Credentials, proxies and endpoints of whoever runs the test: gone; Google's APIs, oauth2, the metadata
 * server and the hub are c. */
void canned_environment(const struct canned *c);

#endif
