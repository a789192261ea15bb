#include "cloud/hub/problem.h"

#include "base/catalog.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* What the answer says, beside its status. */
struct said {
    char code[60], message[300];
};

static void read_said(const struct http_reply *r, struct said *s)
{
    json_t *body = json_loads(r->problem, 0, NULL);
    const char *error = json_string_value(json_object_get(body, "error"));
    *s = (struct said){.code = ""};
    http_header(r, "x-error-code", s->code, sizeof s->code);
    if (!http_header(r, "x-error-message", s->message, sizeof s->message) && error)
        snprintf(s->message, sizeof s->message, "%s", error);
    json_decref(body);
}

#define TOKENS "https://huggingface.co/settings/tokens"

static bool gated(const struct hub_asked *q, const struct said *s, struct err *e)
{
    (void)s;
    if (!q->token_origin)
        return err_set(e, ERR_AUTH,
                       "the model is gated: accept its licence at %s/%s, make a token at " TOKENS
                       " and set HF_TOKEN",
                       q->endpoint, q->repo);
    return err_set(
        e, ERR_AUTH,
        "the model is gated, and the account of this token (%s) has not accepted its licence or waits "
        "for an answer: open %s/%s",
        q->token_origin, q->endpoint, q->repo);
}

static bool bad_token(const struct hub_asked *q, const struct said *s, struct err *e)
{
    (void)s;
    return err_set(e, ERR_AUTH, "the token (%s) is wrong or has expired: make a new one at " TOKENS,
                   q->token_origin ? q->token_origin : _("none was sent"));
}

static bool no_revision(const struct hub_asked *q, const struct said *s, struct err *e)
{
    (void)s;
    return err_set(e, ERR_NOT_FOUND, "there is no revision \"%.200s\": see %s/%s/commits/main", q->revision,
                   q->endpoint, q->repo);
}

static bool no_entry(const struct hub_asked *q, const struct said *s, struct err *e)
{
    (void)s;
    return err_set(e, ERR_NOT_FOUND, "there is no file \"%.300s\" at that revision: see %s/%s/tree/%.200s",
                   q->path ? q->path : "", q->endpoint, q->repo, q->revision);
}

/* The hub does not say which of the three it is, so that nobody learns what is private. */
static bool no_repo(const struct hub_asked *q, const struct said *s, struct err *e)
{
    (void)s;
    if (!q->token_origin)
        return err_set(
            e, ERR_NOT_FOUND,
            "there is no such repository, or it is private or gated (the hub tells that only to those "
            "logged in): check %s/%s, and if it is there set HF_TOKEN (" TOKENS ")",
            q->endpoint, q->repo);
    return err_set(
        e, ERR_NOT_FOUND,
        "there is no such repository, or the account of this token (%s) may not see it: check %s/%s",
        q->token_origin, q->endpoint, q->repo);
}

static bool disabled(const struct hub_asked *q, const struct said *s, struct err *e)
{
    (void)s;
    return err_set(e, ERR_AUTH, "the hub has disabled this repository; %s/%s may say why", q->endpoint,
                   q->repo);
}

static bool no_right(const struct hub_asked *q, const struct said *s, struct err *e)
{
    if (!q->token_origin)
        return err_set(e, ERR_AUTH, "reading needs a login (%s): set HF_TOKEN (" TOKENS ")",
                       s->message[0] ? s->message : "HTTP 403");
    return err_set(e, ERR_AUTH,
                   "the token (%s) lacks the right to read %s; a fine-grained token needs \"Read access to "
                   "contents\" of it: " TOKENS,
                   q->token_origin, q->repo);
}

/* In this order. */
static const struct row {
    int status; /* 0: any */
    const char *code, *message;
    bool (*explain)(const struct hub_asked *q, const struct said *s, struct err *e);
} rows[] = {
    {0, "GatedRepo", NULL, gated},
    {0, NULL, "Invalid credentials in Authorization header", bad_token},
    {0, NULL, "Access to this resource is disabled", disabled},
    {0, "RevisionNotFound", NULL, no_revision},
    {0, "EntryNotFound", NULL, no_entry},
    {0, "RepoNotFound", NULL, no_repo},
    {401, NULL, NULL, no_repo},
    {403, NULL, NULL, no_right},
    {404, NULL, NULL, no_repo},
};

static bool matches(const struct row *row, int status, const struct said *s)
{
    return (!row->status || row->status == status) && (!row->code || strcmp(row->code, s->code) == 0) &&
           (!row->message || strstr(s->message, row->message));
}

static bool rate_limit(const struct hub_asked *q, const struct http_reply *r, struct err *e)
{
    char wait[40] = "some minutes";
    if (r->retry_after_seconds)
        snprintf(wait, sizeof wait, "%d s", r->retry_after_seconds);
    return err_set(e, ERR_TRANSIENT, "the hub's rate limit is reached; try again in %s%s", wait,
                   q->token_origin ? ""
                                   : _(", or set HF_TOKEN (" TOKENS "): with a login the limit is higher"));
}

bool hub_explain(const struct hub_asked *q, const struct http_reply *r, struct err *e)
{
    struct said s;
    read_said(r, &s);
    if (r->status == 429)
        return rate_limit(q, r, e);
    if (r->status >= 500 || r->status == 408)
        return err_set(e, ERR_TRANSIENT, "HTTP %d from the hub%s%s; see https://status.huggingface.co",
                       r->status, s.message[0] ? ": " : "", s.message);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (matches(&rows[i], r->status, &s))
            return rows[i].explain(q, &s, e);
    return err_set(e, ERR_CORRUPT, "HTTP %d from the hub%s%s", r->status, s.message[0] ? ": " : "",
                   s.message);
}
