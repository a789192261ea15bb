/* explain.c: answers of Google's APIs that are not 2xx, in a person's words. */
#include "base/catalog.h"
#include "cloud/cloud.h"
#include "cloud/explain/advice.h"
#include "cloud/problem.h"
#include "cloud/storage/xml.h"

#include <stdio.h>
#include <string.h>

/* One line: Cloud Run's messages have paragraphs. */
static void keep(char *out, size_t room, const char *text)
{
    if (!text || !*text || *out)
        return;
    snprintf(out, room, "%s", text);
    for (char *p = out; *p; p++)
        if ((unsigned char)*p < ' ')
            *p = ' ';
}

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

/* BadRequest and PreconditionFailure: what exactly is wrong, behind what the message says in general. */
static void read_violations(const json_t *violations, struct cloud_problem *p)
{
    const json_t *first = json_array_get(violations, 0);
    const char *description = text_of(first, "description");
    size_t n = strlen(p->message);
    keep(p->reason, sizeof p->reason, text_of(first, "type"));
    if (!n)
        keep(p->message, sizeof p->message, description);
    else if (description && !strstr(p->message, description))
        snprintf(p->message + n, sizeof p->message - n, " %.200s", description);
}

static void read_details(const json_t *details, struct cloud_problem *p)
{
    for (size_t i = 0; i < json_array_size(details); i++) {
        const json_t *item = json_array_get(details, i);
        keep(p->reason, sizeof p->reason, text_of(item, "reason"));
        keep(p->service, sizeof p->service, text_of(json_object_get(item, "metadata"), "service"));
        read_violations(json_object_get(item, "violations"), p);
        read_violations(json_object_get(item, "fieldViolations"), p);
    }
}

/* {"message","status","errors":[{"reason"}],"details":[{"reason","metadata":{"service"}}]} */
static void read_error(const json_t *error, struct cloud_problem *p)
{
    const json_t *errors = json_object_get(error, "errors");
    keep(p->message, sizeof p->message, text_of(error, "message"));
    read_details(json_object_get(error, "details"), p);
    for (size_t i = 0; i < json_array_size(errors); i++) {
        keep(p->reason, sizeof p->reason, text_of(json_array_get(errors, i), "reason"));
        keep(p->message, sizeof p->message, text_of(json_array_get(errors, i), "message"));
    }
    keep(p->reason, sizeof p->reason, text_of(error, "status"));
}

/* {"error":{…}}, and what the token endpoint says: {"error":"invalid_grant","error_description":"…"}. */
static bool read_json(const char *text, struct cloud_problem *p)
{
    json_t *body = json_loads(text, 0, NULL), *error = json_object_get(body, "error");
    read_error(error, p);
    keep(p->reason, sizeof p->reason, json_string_value(error));
    keep(p->message, sizeof p->message, text_of(body, "error_description"));
    bool read = body != NULL;
    json_decref(body);
    return read;
}

static bool take_element(void *arg, int depth, const char *name, const char *text, struct err *e)
{
    struct cloud_problem *p = arg;
    (void)e;
    if (depth == 1 && strcmp(name, "Code") == 0)
        keep(p->reason, sizeof p->reason, text);
    if (depth == 1 && strcmp(name, "Message") == 0)
        keep(p->message, sizeof p->message, text);
    if (depth == 1 && strcmp(name, "Details") == 0 && p->message[0]) {
        size_t n = strlen(p->message);
        snprintf(p->message + n, sizeof p->message - n, " %s", text);
    }
    return true;
}

void cloud_problem_read(const char *text, struct cloud_problem *p)
{
    *p = (struct cloud_problem){0};
    struct err broken; /* a body cut at its 4096th byte has told its code and message by then */
    if (read_json(text, p))
        return;
    if (text[0] == '<' && !xml_read(text, strlen(text), take_element, p, &broken) && !p->reason[0])
        return; /* HTML of a proxy: the status says enough */
    if (text[0] != '<')
        keep(p->message, sizeof p->message, text);
}

bool cloud_problem_is_disabled_api(const struct cloud_problem *p)
{
    return strcmp(p->reason, "SERVICE_DISABLED") == 0 || strcmp(p->reason, "accessNotConfigured") == 0 ||
           strstr(p->message, "has not been used in project");
}

static void advise(int status, const struct cloud_problem *p, char *out, size_t room)
{
    if (cloud_problem_is_disabled_api(p)) {
        bool named = p->service[0] != 0;
        snprintf(out, room, _("enable the API: `gcloud services enable %s`"),
                 named ? p->service : "NAME.googleapis.com");
        return;
    }
    snprintf(out, room, "%s", advice_for(status, p->reason, p->message));
}

/* Bytes that changed on the way: the XML API's code, and the JSON API's words (its reason is only "invalid").
 */
static bool is_bad_digest(const struct cloud_problem *p)
{
    return strcmp(p->reason, "BadDigest") == 0 || strstr(p->message, "match calculated CRC32C");
}

static enum err_kind kind_of(int status, const struct cloud_problem *p)
{
    bool rate = strcasestr(p->reason, "rateLimitExceeded") || strcmp(p->reason, "RATE_LIMIT_EXCEEDED") == 0;
    switch (status) {
    case 400:
        return is_bad_digest(p) ? ERR_CORRUPT : ERR_USAGE;
    case 401:
        return ERR_AUTH;
    case 403:
        return rate ? ERR_TRANSIENT : ERR_AUTH;
    case 404:
        return ERR_NOT_FOUND;
    case 409:
    case 412:
        return ERR_BUSY;
    case 408:
    case 429:
        return ERR_TRANSIENT;
    default:
        return status >= 500 ? ERR_TRANSIENT : ERR_USAGE;
    }
}

bool cloud_explain(const struct http_reply *r, struct err *e)
{
    struct cloud_problem p = {0};
    char advice[400] = "", wait[60] = "";

    cloud_problem_read(r->problem, &p);
    advise(r->status, &p, advice, sizeof advice);
    if (r->retry_after_seconds)
        snprintf(wait, sizeof wait, _(" (it asks to wait %d s)"), r->retry_after_seconds);
    const char *said = p.message[0] ? p.message : p.reason[0] ? p.reason : _("no reason given");
    if (r->status >= 300 && r->status < 400)
        said = _("a redirect, which this API never answers; is the endpoint right?");
    return err_set(e, kind_of(r->status, &p), "HTTP %d: %s%s%s%s", r->status, said, advice[0] ? "; " : "",
                   advice, wait);
}

/* google/rpc/code.proto, and the HTTP status it stands for there. */
static int http_status(json_int_t code)
{
    static const short statuses[] = {200, 499, 500, 400, 504, 404, 409, 403, 429,
                                     400, 409, 400, 501, 500, 503, 500, 401};
    bool known = code >= 0 && code < (json_int_t)(sizeof statuses / sizeof *statuses);
    return known ? statuses[code] : 500;
}

bool cloud_explain_status(const json_t *status, struct err *e)
{
    struct cloud_problem p = {0};
    char advice[400] = "";
    int http = http_status(json_integer_value(json_object_get(status, "code")));

    read_error(status, &p);
    advise(http, &p, advice, sizeof advice);
    return err_set(e, kind_of(http, &p), "%s%s%s", p.message[0] ? p.message : _("no reason given"),
                   advice[0] ? "; " : "", advice);
}
