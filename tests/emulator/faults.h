/* faults.h: what goes wrong, and for which requests. A fault is a data file faults/<name>.json:
 *
 *   {"about": "what a client must make of it",
 *    "ends": {"stage": ["billing", "to go on: ferry"]},    for tests/cmd/test_faults.c: that copy must fail
 * in one line with these words; those not named must succeed "faults": [{"method": "GET", "path":
 * "*download*", "query": "*alt=media*", "from": 2, "times": 1, "do": {"after_bytes": 1000, "then":
 * "reset"}}]}
 *
 * method, path and query are globs (fnmatch; "*" when left out) on what was sent, undecoded; "range": true
 * asks for a Range header, "host": "cdn" or "main" for the port. A rule skips the first from - 1 requests it
 * matches, then strikes times requests (0: all). The first rule that strikes wins.
 *
 * do, in the order in which it happens:
 *   "kill_token": true        the request's bearer token is refused from now on, here too
 *   "expire_urls": true       all signed URLs given out so far are over, here too
 *   "empty_session": true     the upload session loses every byte it held
 *   "forget_session": 410     the upload session is gone: this status from now on
 *   "change_object": true     the object becomes another: new generation, every byte inverted
 *   "clock_offset_seconds": n the server's clock (Date header, check of assertions, life of tokens)
 *   "stall_seconds": n        nothing for so long, before the answer (with after_bytes: in the middle)
 *   "status": n, "body": …, "headers": {…}   the answer instead of the real one; with "late": true the
 * request is carried out all the same and only its answer lost. Without status headers are added to the real
 * answer, or replace its own "drop_headers": […]       of the answer "ignore_range": true      200 and the
 * whole, as if there had been no Range header "short_by": n             the body ends n bytes early, and
 * Content-Length says so; Content-Range does not "corrupt_byte": n         byte n of the
 * request's body when it has one, else of the answer's, is inverted
 *   "bytes_per_second": n     the body trickles
 *   "operation_seconds": n    the operation that the request begins takes so long
 *   "operation_error": {"code": n, "message": …}   and ends with this
 *   "after_bytes": n, "then": "reset" | "close" | "stall" | "answer"
 *                             of the request's body when it has one (what came is kept), else of the answer's
 * body; "answer": the rest of the request is read away and status is the answer */
#ifndef FERRY_EMULATOR_FAULTS_H
#define FERRY_EMULATOR_FAULTS_H

#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct faults;

struct fault_probe {
    const char *method, *path, *query, *host;
    bool range;
};

struct faults *faults_new(void);
void faults_free(struct faults *f);

/* A name, a path, or text beginning with "{"; NULL or "": none. Replaces what was there. False with *e set,
 * and nothing changed, when it cannot be read or contains a word that is not in the list above. */
bool faults_set(struct faults *f, const char *what, struct err *e);

/* What to do to this request: a new reference, with the fault's name in "name"; NULL: nothing. Any thread. */
json_t *faults_strike(struct faults *f, const struct fault_probe *p);

/* Reading a "do"; NULL is fine. */
bool fault_is(const json_t *fault, const char *key);
int64_t fault_number(const json_t *fault, const char *key, int64_t otherwise);
double fault_seconds(const json_t *fault, const char *key);
const char *fault_text(const json_t *fault, const char *key); /* NULL: not there */

#endif
