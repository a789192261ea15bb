/* playground.h: the page that GET / answers with: web/playground/index.html, made a C file by tools/embed. */
#ifndef FERRY_SERVE_HTTP_PLAYGROUND_H
#define FERRY_SERVE_HTTP_PLAYGROUND_H

#include <stddef.h>

extern const unsigned char playground[]; /* [playground_size] */
extern const size_t playground_size;
extern const char playground_policy[]; /* Content-Security-Policy: the hashes of its script and its style */

#endif
