#include "cmd/google.h"

#include "cloud/identity.h"
#include "cloud/secret.h"

#include <string.h>

static const struct option rows[] = {
    {.name = "project",
     .type = OPTION_TEXT,
     .argument = "PROJECT",
     .offset = offsetof(struct google_settings, project),
     .help = "Google's project; gcloud's unless told (GOOGLE_CLOUD_PROJECT, or its configuration)"},
    {.name = "region",
     .type = OPTION_TEXT,
     .argument = "REGION",
     .offset = offsetof(struct google_settings, region),
     .help = "of Cloud Run, such as asia-northeast1; where the service is, or gcloud's run/region"},
};
const struct option_group google_group = {"Google", rows, sizeof rows / sizeof *rows};

bool google_open(struct google *g, const struct google_settings *s, struct target_run *r, struct err *e)
{
    if (!(g->stores = stores_new(0, e)))
        return false;
    struct cloud *c = stores_cloud(g->stores);
    r->project = s->project ? s->project : gcloud_project(cloud_config(c), NULL);
    r->region = s->region;
    if (r->project)
        r->cloud = c;
    else
        google_close(g);
    return true;
}

bool google_need(struct google *g, const struct google_settings *s, struct target_run *r, struct err *e)
{
    if (!google_open(g, s, r, e))
        return false;
    return r->cloud ||
           err_set(e, ERR_USAGE,
                   "which project of Google's? --project, GOOGLE_CLOUD_PROJECT, or `gcloud config set "
                   "project`");
}

void google_close(struct google *g)
{
    stores_free(g->stores);
    g->stores = NULL;
}

bool google_identity(const struct target_service *s, char out[GOOGLE_IDENTITY_BYTES], struct err *e)
{
    _Static_assert((int)GOOGLE_IDENTITY_BYTES >= (int)IDENTITY_BYTES, "identity.h");
    *out = 0;
    if (!s->wants_identity)
        return true;
    struct stores *stores = stores_new(0, e);
    struct identity *i = stores ? identity_new(stores_cloud(stores), s->url, e) : NULL;
    bool ok = i && identity_get(i, out, e);
    identity_free(i);
    stores_free(stores);
    return ok || err_wrap(e, "%s is for callers that Google knows", s->name);
}

static bool read_key(const struct target_service *s, struct arena *a, const char **key, struct err *e)
{
    char *text = arena_alloc(a, SECRET_BYTES, 1);
    struct stores *stores = text ? stores_new(0, e) : NULL;
    if (!text)
        return err_set(e, ERR_MEMORY, "no memory");
    *key = text;
    bool ok = stores && secret_access(stores_cloud(stores), s->key_secret.project, s->key_secret.secret,
                                      s->key_secret.version, text, e);
    text[strcspn(text, "\r\n")] = 0;
    stores_free(stores);
    return ok;
}

bool google_key(const struct target_service *s, struct arena *a, const char **key, struct err *e)
{
    if (!s->key_secret.secret || read_key(s, a, key, e))
        return true;
    if (e->kind == ERR_AUTH)
        err_wrap(e, "%s asks for an API key that you may not read: set FERRY_API_KEY, or let it be read",
                 s->name);
    else
        err_wrap(e, "the API key of %s", s->name);
    return false;
}
