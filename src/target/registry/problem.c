#include "target/registry/problem.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* What the body says. */
struct told {
    char code[80], message[600];
};

/* {"errors":[{"code":"DENIED","message":"…"}]}; token endpoints also {"details":"…"}, {"message":"…"} or
 * {"error":"…"}. */
static void read_told(const char *body, struct told *t)
{
    json_t *json = json_loads(body, 0, NULL);
    const json_t *first = json_array_get(json_object_get(json, "errors"), 0);
    static const char *const keys[] = {"message", "details", "error_description", "error"};
    const char *code = json_string_value(json_object_get(first, "code"));
    const char *message = json_string_value(json_object_get(first, "message"));
    for (size_t i = 0; !message && i < sizeof keys / sizeof *keys; i++)
        message = json_string_value(json_object_get(json, keys[i]));
    if (!json && body[0] != '<') /* not the HTML of a proxy */
        message = body;
    snprintf(t->code, sizeof t->code, "%.79s", code ? code : "");
    snprintf(t->message, sizeof t->message, "%.599s", message ? message : "");
    json_decref(json);
}

enum whose { ANY, GOOGLE, OTHERS };

/* What people stumble over, in this order: words of the code or the message. */
static const struct advice {
    int status; /* 0: any */
    enum whose whose;
    const char *words, *advice;
} advices[] = {
    {0, ANY, "immutab", "that tag names another image and may not be moved: push to another tag"},
    {0, ANY, "cannot be overwritten",
     "that tag names another image and may not be moved: push to another tag"},
    {0, GOOGLE, "billing",
     "the project has no open billing account: link one at "
     "https://console.cloud.google.com/billing/projects"},
    {0, GOOGLE, "has not been used in project",
     "enable the API: `gcloud services enable artifactregistry.googleapis.com`"},
    {0, GOOGLE, "SERVICE_DISABLED",
     "enable the API: `gcloud services enable artifactregistry.googleapis.com`"},
    {429, ANY, "", "too many requests; try again later"},
    {413, ANY, "", "something before the registry takes no request of that size: send pieces, --chunk 1"},
    {405, ANY, "", "this registry does not take images"},
    {0, ANY, "UNSUPPORTED", "this registry does not take images of this kind"},
};

/* "projects/P/locations/L": Artifact Registry's names hold both. */
static void advise_google_repository(const struct session *s, char *out, size_t room)
{
    const char *project = s->to->repository, *slash = strchr(project, '/');
    int repository = slash ? (int)strcspn(slash + 1, "/") : 0;
    int location = (int)strlen(s->to->registry) - (int)strlen("-docker.pkg.dev");
    if (!slash || location <= 0) {
        snprintf(out, room, "create the repository first");
        return;
    }
    snprintf(
        out, room,
        "create it: `gcloud artifacts repositories create %.*s --repository-format=docker --location=%.*s "
        "--project=%.*s`",
        repository, slash + 1, location, s->to->registry, (int)(slash - project), project);
}

/* Nobody, or somebody who may not. */
static void advise_login(const struct session *s, char *out, size_t room)
{
    if (s->to->google)
        snprintf(out, room, "grant roles/artifactregistry.writer on the repository to %s", s->login.who);
    else if (s->login.basic[0])
        snprintf(out, room, "%s is not let in, or may not push there", s->login.who);
    else if (s->login.helper)
        snprintf(out, room,
                 "docker's login is kept by docker-credential-%s, which ferry does not ask: set "
                 "FERRY_REGISTRY_USER "
                 "and FERRY_REGISTRY_PASSWORD",
                 s->login.helper);
    else
        snprintf(out, room, "set FERRY_REGISTRY_USER and FERRY_REGISTRY_PASSWORD, or `docker login %s`",
                 s->to->registry);
}

static void advise(const struct session *s, const struct http_reply *r, const struct told *t, char *out,
                   size_t room)
{
    for (size_t i = 0; i < sizeof advices / sizeof *advices; i++) {
        const struct advice *a = &advices[i];
        bool heard = strcasestr(t->code, a->words) || strcasestr(t->message, a->words);
        bool whose = a->whose == ANY || (a->whose == GOOGLE) == s->to->google;
        if (!heard || !whose || (a->status && a->status != r->status))
            continue;
        snprintf(out, room, "%s", a->advice);
        return;
    }
    if (r->status == 401 || r->status == 403)
        advise_login(s, out, room);
    else if (r->status == 404 && s->to->google)
        advise_google_repository(s, out, room);
    else if (r->status == 404)
        snprintf(out, room, "is the name right, and must the repository be created first?");
}

static enum err_kind kind_of(int status)
{
    switch (status) {
    case 401:
    case 403:
        return ERR_AUTH;
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

bool problem_explain(const struct session *s, const struct http_reply *r, struct err *e)
{
    struct told t;
    char advice[600] = "";
    read_told(r->problem, &t);
    if (r->status >= 300 && r->status < 400)
        snprintf(t.message, sizeof t.message,
                 "a redirect, which a push does not follow; is the registry's name right?");
    advise(s, r, &t, advice, sizeof advice);
    const char *said = t.message[0] ? t.message : t.code[0] ? "" : "no reason given";
    return err_set(e, kind_of(r->status), "HTTP %d: %s%s%s%s%s", r->status, t.code,
                   t.code[0] && *said ? ": " : "", said, advice[0] ? "; " : "", advice);
}
