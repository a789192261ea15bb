#include "doctor/check/patient.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- reading --- */

const json_t *at(const json_t *json, const char *path)
{
    char name[64];
    while (json && *path) {
        size_t n = strcspn(path, ".");
        if (n >= sizeof name)
            return NULL;
        memcpy(name, path, n);
        name[n] = 0;
        json = json_object_get(json, name);
        path += n + (path[n] == '.');
    }
    return json;
}

const char *text_at(const json_t *json, const char *path)
{
    const char *text = json_string_value(at(json, path));
    return text ? text : "";
}

double number_at(const json_t *json, const char *path)
{
    const json_t *value = at(json, path);
    const char *text = json_string_value(value);
    return text ? strtod(text, NULL) : json_number_value(value);
}

bool true_at(const json_t *json, const char *path)
{
    return json_is_true(at(json, path));
}

const json_t *item_at(const json_t *array, size_t i)
{
    return json_array_get(array, i);
}

const char *subject(const struct patient *p, const char *name)
{
    return text_at(at(p->record, "subject"), name);
}

const json_t *local(const struct patient *p, const char *name)
{
    return at(at(p->record, "local"), name);
}

/* --- answers --- */

static bool has(const struct cloud_problem *p, const char *words)
{
    return strcasestr(p->reason, words) || strcasestr(p->message, words);
}

/* Words of reasons and messages, and what they come to. Sources: google/api/error_reason.proto, and messages
 * that people have quoted in public. */
static const struct {
    const char *words;
    enum verdict verdict;
} signs[] = {
    {"billing account for the owning project", VERDICT_BILLING},
    {"UserProjectAccountProblem", VERDICT_BILLING},
    {"BILLING_DISABLED", VERDICT_BILLING},
    {"PROJECT_BILLING_NOT_", VERDICT_BILLING},
    {"requires billing to be enabled", VERDICT_BILLING},
    {"Billing must be enabled", VERDICT_BILLING},
    {"billing account is not open", VERDICT_BILLING},
    {"accountDisabled", VERDICT_BILLING},
    {"LOCATION_TAX_POLICY_VIOLATED", VERDICT_TAX},
    {"CONSUMER_SUSPENDED", VERDICT_SUSPENDED},
    {"has been suspended", VERDICT_SUSPENDED},
    {"CONSUMER_INVALID", VERDICT_NO_PROJECT},
    {"USER_PROJECT_DENIED", VERDICT_QUOTA_PROJECT},
    {"requires a quota project", VERDICT_QUOTA_PROJECT},
    {"ACCESS_TOKEN_SCOPE_INSUFFICIENT", VERDICT_SCOPES},
    {"insufficient authentication scopes", VERDICT_SCOPES},
    {"SECURITY_POLICY_VIOLATED", VERDICT_PERIMETER},
    {"prohibited by organization's policy", VERDICT_PERIMETER},
    {"rateLimitExceeded", VERDICT_RATE},
    {"RATE_LIMIT_EXCEEDED", VERDICT_RATE},
};

static enum verdict verdict_of(int status, const struct cloud_problem *p)
{
    if (status / 100 == 2)
        return VERDICT_GOOD;
    if (cloud_problem_is_disabled_api(p))
        return VERDICT_API_OFF;
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (has(p, signs[i].words))
            return signs[i].verdict;
    switch (status) {
    case 401:
        return VERDICT_LOGIN;
    case 403:
        return VERDICT_FORBIDDEN;
    case 404:
        return VERDICT_MISSING;
    case 429:
        return VERDICT_RATE;
    default:
        return status >= 500 ? VERDICT_OUTAGE : VERDICT_UNKNOWN;
    }
}

static void read_problem(struct answer *a)
{
    const json_t *text = at(a->whole, "text");
    char *body = text ? NULL : json_dumps(at(a->whole, "body"), JSON_ENCODE_ANY);
    cloud_problem_read(text ? json_string_value(text) : body ? body : "", &a->problem);
    free(body);
}

static const char *reason_of(const struct patient *p, const struct answer *a)
{
    const struct cloud_problem *r = &a->problem;
    if (r->message[0] && r->reason[0])
        return verbatim(p, "HTTP %d %s: %s", a->status, r->reason, r->message);
    return verbatim(p, "HTTP %d%s%s%s", a->status, r->message[0] || r->reason[0] ? ": " : "", r->reason,
                    r->message);
}

struct answer answer_of(const struct patient *p, const char *question)
{
    struct answer a = {.whole = at(at(p->record, "answers"), question), .reason = ""};
    const json_t *error = at(a.whole, "error");
    if (!a.whole)
        return a;
    a.status = (int)number_at(a.whole, "status");
    if (error || !a.status) {
        a.verdict = VERDICT_SILENT;
        a.reason = verbatim(p, "%s", text_at(a.whole, "error"));
        return a;
    }
    if (a.status / 100 != 2)
        read_problem(&a);
    a.verdict = verdict_of(a.status, &a.problem);
    a.body = a.verdict == VERDICT_GOOD ? at(a.whole, "body") : NULL;
    a.reason = a.verdict == VERDICT_GOOD ? "" : reason_of(p, &a);
    return a;
}

void skip(const struct patient *p, const char *question, const char *reason)
{
    struct findings *f = p->out;
    if (f->skipped_count < SKIPPED_MOST)
        f->skipped[f->skipped_count++] =
            (struct skipped){.check = p->check, .question = question, .reason = reason};
    else
        f->lost++;
}

void unseen(const struct patient *p, const char *question, const struct answer *a)
{
    if (a->verdict != VERDICT_UNKNOWN) {
        skip(p, question, a->reason);
        return;
    }
    const char *request = text_at(a->whole, "request");
    const char *asked = verbatim(p, "%.*s", (int)strcspn(request, "?"), request);
    struct finding *f =
        find(p, "unexplained", SEVERITY_WARNING, CERTAINTY_UNKNOWN,
             say(p, "An answer that Ferry does not know (%s); these are its own words.", asked));
    f->why = _("What it is about could not be looked at, and what is behind it may fail, too.");
    f->next = _("Search for these words, or show them to Google's support.");
    f->reason = a->reason;
}

bool answer_good(const struct patient *p, const char *question, struct answer *a)
{
    *a = answer_of(p, question);
    if (a->verdict != VERDICT_GOOD && a->verdict != VERDICT_ABSENT)
        unseen(p, question, a);
    return a->verdict == VERDICT_GOOD;
}

bool answer_any(const struct patient *p, enum verdict v, const char **question, struct answer *a)
{
    const char *name;
    json_t *one, *answers = json_object_get(p->record, "answers");
    json_object_foreach(answers, name, one)
    {
        bool of_hub = strncmp(name, "hub_", 4) == 0;
        *question = name;
        *a = answer_of(p, name);
        if (a->verdict == v && !of_hub)
            return true;
    }
    return false;
}

/* --- what is found --- */

struct finding *find(const struct patient *p, const char *id, enum severity severity,
                     enum certainty certainty, const char *what)
{
    struct findings *f = p->out;
    bool room = f->count < FINDINGS_MOST;
    struct finding *one = &f->items[room ? f->count : FINDINGS_MOST - 1];
    f->count += room;
    f->lost += !room;
    *one = (struct finding){.check = p->check,
                            .id = id,
                            .severity = severity,
                            .certainty = certainty,
                            .what = what,
                            .usd_per_month = NAN};
    return one;
}

void fine(const struct patient *p, const char *id, const char *what)
{
    find(p, id, SEVERITY_FINE, CERTAINTY_CERTAIN, what);
}

void maybe(struct finding *f, const char *cause, const char *sign)
{
    if (f->candidate_count < CANDIDATES_MOST)
        f->candidates[f->candidate_count++] = (struct candidate){cause, sign};
}

void remedy_item(struct finding *f, const char *item)
{
    if (f->item_count < ITEMS_MOST)
        f->items[f->item_count++] = item;
}

/* What others have said may hold anything; here it is one line. */
static const char *keep(const struct patient *p, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));
static const char *keep(const struct patient *p, const char *format, va_list arguments)
{
    char *text = NULL;
    int n = vasprintf(&text, format, arguments);
    char *kept = n >= 0 ? arena_strndup(p->out->arena, text, (size_t)n) : NULL;
    free(n >= 0 ? text : NULL);
    for (char *c = kept; c && *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    p->out->lost += !kept;
    return kept ? kept : "";
}

const char *say(const struct patient *p, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *text = keep(p, tr(format), arguments);
    va_end(arguments);
    return text;
}

const char *verbatim(const struct patient *p, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *text = keep(p, format, arguments);
    va_end(arguments);
    return text;
}
