/* headers.h: what the service reads from request headers. */
#ifndef FERRY_SERVE_HTTP_HEADERS_H
#define FERRY_SERVE_HTTP_HEADERS_H

#include <stdbool.h>

/* Authorization: Bearer KEY, compared in a time that depends on the given key's length only. */
bool header_has_key(const char *authorization, const char *key);

/* The type before parameters ("multipart/form-data; boundary=…"), whatever its case. header may be NULL. */
bool header_is_type(const char *header, const char *type);

/* True when an Accept header names that type itself, whatever else and with whatever parameters. NULL is
 * fine.
 */
bool header_accepts(const char *accept, const char *type);

/* 32 hex digits of a traceparent (W3C) or X-Cloud-Trace-Context header; else "" and false. */
bool header_trace(const char *traceparent, const char *cloud, char trace[33]);

/* Content-Length: -1 when absent or not a number that fits. */
long long header_length(const char *header);

#endif
