#include "cmd/deploy_key.h"

#include <string.h>

static void hear_key(void *arg, const char *secret, const char *key)
{
    struct deploy_key *k = arg;
    snprintf(k->secret, sizeof k->secret, "%s", secret);
    snprintf(k->text, sizeof k->text, "%s", key);
}

static bool is_secret_name(const char *text, size_t size)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    return size && size <= 255 && strspn(text, letters) == size;
}

static bool is_version(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    return strcmp(text, "latest") == 0 || (digits && !text[digits]);
}

/* "NAME[:VERSION]" */
static bool read_secret(const char *text, struct cloud_run_options *o, struct arena *a, struct err *e)
{
    size_t size = strcspn(text, ":");
    const char *version = text[size] ? text + size + 1 : "latest";
    if (!is_secret_name(text, size) || !is_version(version))
        return err_set(
            e, ERR_USAGE,
            "--key-secret \"%.100s\": expected the NAME of a secret of this project, or NAME:VERSION", text);
    o->key.secret = arena_strndup(a, text, size);
    o->key.version = version;
    return o->key.secret || err_set(e, ERR_MEMORY, "no memory");
}

static bool check(const struct deploy_cloud *d, struct err *e)
{
    const char *secret = d->instance->key_secret;
    if (d->settings->no_key && secret)
        return err_set(e, ERR_USAGE, "--no-key and --key-secret: one of them");
    return !d->settings->no_key || d->settings->is_public ||
           err_set(e, ERR_USAGE,
                   "--no-key goes with --public: a service that is not public makes no key, its callers are "
                   "those who have run.invoker on it");
}

bool deploy_key_settle(const struct deploy_cloud *d, struct deploy_key *k, struct cloud_run_options *o,
                       struct arena *a, struct err *e)
{
    const char *secret = d->instance->key_secret;
    if (!check(d, e) || (secret && !read_secret(secret, o, a, e)))
        return false;
    o->key.make = d->settings->is_public && !d->settings->no_key && !secret;
    o->on_key = hear_key;
    o->key_arg = k;
    return true;
}

void deploy_key_show(struct deploy_key *k, const char *service, const char *url, FILE *out)
{
    if (!*k->text)
        return;
    fprintf(out, "API key, shown this once: %s\n", k->text);
    fprintf(out, "  curl %s/v1/models -H \"Authorization: Bearer $KEY\"\n", url ? url : "URL");
    fprintf(out,
            "  `ferry ask %s` finds it by itself; again: gcloud secrets versions access latest --secret=%s\n",
            service, k->secret);
    explicit_bzero(k, sizeof *k);
}
