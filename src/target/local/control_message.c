#include "target/local/control_message.h"

#include "base/catalog.h"
#include "target/local/environment.h"

#include <string.h>

static bool take_verb(const json_t *json, enum control_verb *out)
{
    static const char *const verbs[] = {"status", "apply", "sleep",
                                        "stop"}; /* in the order of enum control_verb */
    const char *text = json_string_value(json_object_get(json, "do"));
    for (size_t i = 0; text && i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(text, verbs[i]) == 0) {
            *out = (enum control_verb)i;
            return true;
        }
    return false;
}

static bool take_apply(struct control_request *q, json_t *json, struct err *e)
{
    const json_t *bytes = json_object_get(json, "environment_bytes");
    json_int_t size = json_integer_value(bytes);
    if (!json_is_integer(bytes) || size < 0)
        return err_set(e, ERR_CORRUPT, "environment_bytes: expected a number of bytes");
    if (size > ENVIRONMENT_MAX_BYTES)
        return err_set(e, ERR_LIMIT, "the environment is larger than %d bytes", ENVIRONMENT_MAX_BYTES);
    q->environment_bytes = (size_t)size;
    q->wait = json_is_true(json_object_get(json, "wait"));
    q->spec = json_incref(json_object_get(json, "spec"));
    return true;
}

bool control_request_parse(struct control_request *q, const char *line, size_t size, struct err *e)
{
    json_t *json = json_loadb(line, size, JSON_REJECT_DUPLICATES, NULL);
    *q = (struct control_request){0};
    bool ok = take_verb(json, &q->verb) || err_set(e, ERR_CORRUPT, "expected status, apply, sleep or stop");
    ok = ok && (q->verb != CONTROL_APPLY || take_apply(q, json, e));
    json_decref(json);
    return ok;
}

void control_request_clear(struct control_request *q)
{
    json_decref(q->spec);
    *q = (struct control_request){0};
}

enum control_answer control_answer_parse(const char *line, size_t size, control_say_fn say, void *arg,
                                         json_t **out, struct err *e)
{
    json_t *json = json_loadb(line, size, JSON_REJECT_DUPLICATES, NULL);
    const char *said = json_string_value(json_object_get(json, "say"));
    const char *problem = json_string_value(json_object_get(json, "problem"));
    if (json_is_true(json_object_get(json, "ok"))) {
        *out = json;
        return CONTROL_OK;
    }
    if (said && say)
        say(arg, said);
    if (!said)
        err_set(e, ERR_IO, "%s", problem ? problem : _("its activator says something that makes no sense"));
    json_decref(json);
    return said ? CONTROL_SAID : CONTROL_PROBLEM;
}
