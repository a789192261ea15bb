/* rate_limit.h: the hub's RateLimit header, a list of structured fields (RFC 9651):
 *
 *   "api";r=0;t=55                    nothing left, new credit in 55 s
 *
 * Of several limits those that are used up count, the longest of them. Stateless. */
#ifndef FERRY_NET_PARSE_RATE_LIMIT_H
#define FERRY_NET_PARSE_RATE_LIMIT_H

/* Seconds to wait, at most a day; 0: nothing used up, or not of that form. text NULL: 0. */
int rate_limit_seconds(const char *text);

#endif
