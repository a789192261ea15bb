/* control.h: what is said to an activator, over the Unix socket in its service's folder: one JSON object in a
 * line, answered by lines. Only processes of the same account are listened to.
 *
 *   {"do":"status"}                           {"ok":true,"status":{…}}
 *   {"do":"apply","spec":{…},"wait":true,     {"say":"…"} …, then {"ok":true,"status":{…}}
 *    "environment_bytes":N} and N bytes         or {"ok":false,"problem":"…"}
 *   {"do":"sleep"}                            {"ok":true}: its server stops; or a problem: it is in use
 *   {"do":"stop"}                             {"ok":true}; then it ends
 *
 * Who hangs up during an apply takes it back. This side is the client's; it blocks. */
#ifndef FERRY_TARGET_LOCAL_CONTROL_H
#define FERRY_TARGET_LOCAL_CONTROL_H

#include "target/local/control_message.h"
#include "target/local/home.h"

enum { CONTROL_MAX_LINE = SPEC_MAX_BYTES + 4096 };

/* A connection to the activator of that service. -1: none listens (ERR_NOT_FOUND). */
int control_connect(const struct home *p, struct err *e);

/* Sends one request, with `size` bytes behind it, and waits for the answer that has "ok"; lines with "say"
 * go to say on the way. stop ends the wait (ERR_CANCELLED). NULL with *e set, also when ok is false: its
 * problem. Closes fd. */
json_t *control_ask(int fd, const json_t *request, const char *bytes, size_t size,
                    const volatile sig_atomic_t *stop, control_say_fn say, void *arg, struct err *e);

#endif
