/* control_message.h: one line of what is said over a control socket (control.h says which there are). */
#ifndef FERRY_TARGET_LOCAL_CONTROL_MESSAGE_H
#define FERRY_TARGET_LOCAL_CONTROL_MESSAGE_H

#include "base/err.h"

#include <jansson.h>
#include <stddef.h>

enum control_verb { CONTROL_STATUS, CONTROL_APPLY, CONTROL_SLEEP, CONTROL_STOP };

/* Zeroed means none. */
struct control_request {
    enum control_verb verb;
    json_t *spec; /* APPLY: an object, or NULL; of this request */
    bool wait;
    size_t environment_bytes; /* that follow the line; at most ENVIRONMENT_MAX_BYTES */
};

/* line: without its \n. False with *e (ERR_CORRUPT, ERR_LIMIT) set. */
bool control_request_parse(struct control_request *q, const char *line, size_t size, struct err *e);
void control_request_clear(struct control_request *q);

/* What an activator answers. SAID: say has it, and more lines follow. OK: *out is the object, to be let go
 * of. Anything else is PROBLEM with *e set. */
enum control_answer { CONTROL_SAID, CONTROL_OK, CONTROL_PROBLEM };
typedef void (*control_say_fn)(void *arg, const char *line);
enum control_answer control_answer_parse(const char *line, size_t size, control_say_fn say, void *arg,
                                         json_t **out, struct err *e);

#endif
