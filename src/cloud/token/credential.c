#include "cloud/token/credential.h"

#include "base/catalog.h"

#include <jansson.h>
#include <string.h>

/* What Ferry does not do itself, gcloud does for it. */
#define BY_GCLOUD                                                                                            \
    "unset GOOGLE_APPLICATION_CREDENTIALS and let gcloud make the tokens (`gcloud auth login`), or set "     \
    "FERRY_ACCESS_TOKEN to what `gcloud auth print-access-token` prints"

static const struct {
    const char *name, *what;
} refused[] = {
    {"external_account", "workload identity federation"},
    {"external_account_authorized_user", "workforce identity federation"},
    {"impersonated_service_account", "impersonation of a service account"},
    {"gdch_service_account", "a service account of Google Distributed Cloud"},
};

struct field {
    const char *name, **out;
    bool needed;
};

static bool take_field(json_t *json, const struct field *f, struct arena *a, struct err *e)
{
    json_t *value = json_object_get(json, f->name);
    const char *text = json_string_value(value);
    if (!value && !f->needed)
        return true;
    if (!text || !*text || strlen(text) != json_string_length(value))
        return err_set(e, ERR_AUTH, "\"%s\" is %s; make a new credential file", f->name,
                       value ? _("not a string with something in it") : _("missing"));
    *f->out = arena_strndup(a, text, strlen(text));
    return *f->out || err_set(e, ERR_MEMORY, "no memory for the credentials");
}

static bool take_fields(json_t *json, const struct field *fields, size_t count, struct arena *a,
                        struct err *e)
{
    for (size_t i = 0; i < count; i++)
        if (!take_field(json, &fields[i], a, e))
            return false;
    return true;
}

/* What is asked for there is worth a token: only TLS, or this machine. */
static bool check_token_uri(const char *uri, struct err *e)
{
    static const char *const good[] = {"https://", "http://127.0.0.1:", "http://localhost:", "http://[::1]:"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (strncmp(uri, good[i], strlen(good[i])) == 0)
            return true;
    return err_set(e, ERR_AUTH, "\"token_uri\" is not an https:// address");
}

static bool take_service_account(struct credential *c, json_t *json, struct arena *a, struct err *e)
{
    const struct field fields[] = {{"client_email", &c->email, true},
                                   {"private_key", &c->private_key, true},
                                   {"private_key_id", &c->key_id, false},
                                   {"token_uri", &c->token_uri, false},
                                   {"quota_project_id", &c->quota_project, false}};
    c->type = CREDENTIAL_SERVICE_ACCOUNT;
    if (!take_fields(json, fields, sizeof fields / sizeof *fields, a, e))
        return false;
    if (!c->token_uri)
        c->token_uri = "https://oauth2.googleapis.com/token";
    return check_token_uri(c->token_uri, e);
}

static bool take_user(struct credential *c, json_t *json, struct arena *a, struct err *e)
{
    const struct field fields[] = {{"client_id", &c->client_id, true},
                                   {"client_secret", &c->client_secret, true},
                                   {"refresh_token", &c->refresh_token, true},
                                   {"quota_project_id", &c->quota_project, false}};
    c->type = CREDENTIAL_USER;
    return take_fields(json, fields, sizeof fields / sizeof *fields, a, e);
}

static bool refuse(const char *type, struct err *e)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (strcmp(type, refused[i].name) == 0)
            return err_set(e, ERR_AUTH, "%s (\"%s\") is not supported yet: " BY_GCLOUD, refused[i].what,
                           type);
    return err_set(e, ERR_AUTH,
                   "credentials of an unknown \"type\"; expected authorized_user or service_account");
}

static bool take(struct credential *c, json_t *json, struct arena *a, struct err *e)
{
    const char *type = json_string_value(json_object_get(json, "type"));
    if (!type && (json_object_get(json, "installed") || json_object_get(json, "web")))
        return err_set(e, ERR_AUTH,
                       "this is an OAuth client, not a credential: `gcloud auth application-default login "
                       "--client-id-file=FILE` makes one of it");
    if (!type)
        return err_set(e, ERR_AUTH,
                       "no \"type\"; expected the JSON file of a service account's key or of "
                       "`gcloud auth application-default login`");
    if (strcmp(type, "service_account") == 0)
        return take_service_account(c, json, a, e);
    if (strcmp(type, "authorized_user") == 0)
        return take_user(c, json, a, e);
    return refuse(type, e);
}

bool credential_parse(struct credential *c, const char *text, size_t size, struct arena *a, struct err *e)
{
    json_error_t at; /* its text would quote the file */
    json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &at);
    *c = (struct credential){0};
    bool ok = json ? take(c, json, a, e)
                   : err_set(e, ERR_AUTH, "not JSON (line %d); expected a credential file", at.line);
    json_decref(json);
    return ok;
}
