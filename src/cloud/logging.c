#include "cloud/logging.h"

#include "cloud/call/rest.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE_MAX = 1000 };

static const char *text_at(const json_t *entry, const char *name, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(entry, name));
    return text ? text : otherwise;
}

/* The payload's text; *made (to be freed) when it had to be put together. */
static const char *payload(const json_t *entry, char **made)
{
    const json_t *json = json_object_get(entry, "jsonPayload");
    const char *text = json_string_value(json_object_get(entry, "textPayload"));
    if (!text)
        text = json_string_value(json_object_get(json, "message"));
    if (text)
        return text;
    if (!json)
        json = json_object_get(entry, "protoPayload");
    *made = json ? json_dumps(json, JSON_COMPACT) : NULL;
    return *made ? *made : "";
}

static bool take(const json_t *entry, log_line_fn fn, void *arg, struct err *e)
{
    char *made = NULL;
    const json_t *labels = json_object_get(json_object_get(entry, "resource"), "labels");
    struct log_line l = {.time = text_at(entry, "timestamp", ""),
                         .severity = text_at(entry, "severity", "DEFAULT"),
                         .text = payload(entry, &made),
                         .id = text_at(entry, "insertId", ""),
                         .revision = text_at(labels, "revision_name", ""),
                         .entry = entry};
    bool ok = fn(arg, &l, e);
    free(made);
    return ok;
}

static json_t *request(const struct log_query *q, int size, const char *token)
{
    char project[200];
    snprintf(project, sizeof project, "projects/%.180s", q->project);
    return json_pack("{s:[s], s:s, s:s, s:i, s:s*}", "resourceNames", project, "filter", q->filter, "orderBy",
                     q->order == LOG_NEWEST_FIRST ? "timestamp desc" : "timestamp asc", "pageSize", size,
                     "pageToken", token);
}

static json_t *ask(struct cloud *c, const struct log_query *q, int size, const char *token, struct err *e)
{
    json_t *body = request(q, size, token);
    struct rest r = {.api = "logging",
                     .method = "POST",
                     .path = "/v2/entries:list",
                     .body = body,
                     .flags = CLOUD_IDEMPOTENT,
                     .reads = true};
    json_t *page = body ? rest_call(c, &r, e) : NULL;
    if (!body)
        err_set(e, ERR_MEMORY, "no memory for a request");
    json_decref(body);
    return page;
}

/* *left: how many are still wanted. */
static bool take_page(const json_t *page, int *left, log_line_fn fn, void *arg, struct err *e)
{
    const json_t *entries = json_object_get(page, "entries");
    for (size_t i = 0; i < json_array_size(entries) && *left > 0; i++, --*left)
        if (!take(json_array_get(entries, i), fn, arg, e))
            return false;
    return true;
}

bool log_each(struct cloud *c, const struct log_query *q, log_line_fn fn, void *arg, struct err *e)
{
    int left = q->most ? q->most : INT_MAX;
    json_t *page = NULL;
    const char *token = NULL;
    bool ok = true;
    do {
        json_t *next = ask(c, q, left < PAGE_MAX ? left : PAGE_MAX, token, e);
        json_decref(page);
        page = next;
        ok = page && take_page(page, &left, fn, arg, e);
        token = json_string_value(json_object_get(page, "nextPageToken"));
    } while (ok && left > 0 && token && *token);
    json_decref(page);
    return ok || err_wrap(e, "logs of %s", q->project);
}
