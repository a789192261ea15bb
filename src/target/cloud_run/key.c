#include "target/cloud_run/key.h"

#include "cloud/label.h"
#include "cloud/policy.h"
#include "cloud/secret.h"
#include "target/cloud_run/around.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define API "secretmanager.googleapis.com"
#define ACCESSOR "roles/secretmanager.secretAccessor"

enum { KEY_RANDOM_BYTES = 16, KEY_TEXT = 2 * KEY_RANDOM_BYTES + 1, OTHERS_SECONDS = 5 };

static char *own_name(struct target_run *r, const char *service, struct err *e)
{
    char *name = arena_printf(r->arena, "ferry-%s-key", service);
    if (!name)
        err_set(e, ERR_MEMORY, "no memory");
    return name;
}

/* --- what is in it --- */

/* *there: there is a version, which can be read. One that somebody has switched off is not ours to replace.
 */
static bool look_at_version(struct target_run *r, const char *secret, const char *version, bool *there,
                            struct err *e)
{
    struct err problem = {0};
    bool enabled = true;
    *there = secret_enabled(r->cloud, r->project, secret, version, &enabled, &problem);
    if (!*there && !around_is_nothing(r, API, &problem)) {
        *e = problem;
        return false;
    }
    return enabled || !*there ||
           err_set(e, ERR_UNSUPPORTED,
                   "secret %s: its version %s is disabled or destroyed; `gcloud secrets versions add %s "
                   "--data-file=FILE` adds one",
                   secret, version, secret);
}

bool key_check(struct target_run *r, const struct cloud_run_options *o, struct err *e)
{
    bool there = true;
    if (!o->key.secret)
        return true;
    if (!look_at_version(r, o->key.secret, o->key.version, &there, e))
        return err_wrap(e, "--key-secret");
    return there || cloud_rehearses(r->cloud) ||
           err_set(e, ERR_NOT_FOUND,
                   "--key-secret %s: project %s has no such secret, or it has no version %s; `gcloud secrets "
                   "create %s --data-file=FILE` makes one",
                   o->key.secret, r->project, o->key.version, o->key.secret);
}

static bool draw_key(char out[KEY_TEXT], struct err *e)
{
    unsigned char bytes[KEY_RANDOM_BYTES];
    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        return err_errno(e, "getrandom");
    for (int i = 0; i < KEY_RANDOM_BYTES; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    explicit_bzero(bytes, sizeof bytes);
    return true;
}

/* It is told once it is stored: a key that callers could not use is never shown. */
static bool add_key(struct target_run *r, const struct cloud_run_options *o, const char *secret,
                    struct err *e)
{
    char key[KEY_TEXT];
    around_say(r, "making an API key, in the secret %s", secret);
    bool ok = draw_key(key, e) && secret_add(r->cloud, r->project, secret, key, e);
    if (ok && o->on_key && !cloud_rehearses(r->cloud))
        o->on_key(o->key_arg, secret, key);
    explicit_bzero(key, sizeof key);
    return ok;
}

/* --- a secret of our own --- */

/* *made: by this one, and not by another deploy a moment ago. */
static bool make_secret(struct target_run *r, const char *service, const char *secret, bool *made,
                        struct err *e)
{
    struct err problem = {0};
    json_t *labels =
        json_pack("{s:s, s:s, s:s}", LABEL_NAME, LABEL_OWNER, "service", service, "region", r->region);
    if (!labels)
        return err_set(e, ERR_MEMORY, "no memory");
    json_t *is = secret_create(r->cloud, r->project, secret, labels, &problem);
    *made = is != NULL;
    if (!*made && problem.kind != ERR_BUSY)
        *e = problem;
    json_decref(labels);
    json_decref(is);
    return *made || problem.kind == ERR_BUSY;
}

static bool own_secret(struct target_run *r, const char *service, const char *secret, bool *made,
                       struct err *e)
{
    struct err problem = {0};
    json_t *is = secret_get(r->cloud, r->project, secret, &problem);
    bool ours = label_is_ours(is), there = is != NULL;
    json_decref(is);
    if (there)
        return ours || err_set(e, ERR_USAGE,
                               "there is a secret %s that Ferry has not made (no label " LABEL
                               "): --key-secret %s takes it as it is",
                               secret, secret);
    if (around_is_nothing(r, API, &problem))
        return make_secret(r, service, secret, made, e);
    *e = problem;
    return false;
}

/* Another deploy may be about to put a key there, and to show it: two keys would be one too many. What a kill
 * has left empty stays so. */
static bool await_others(struct target_run *r, const char *secret, bool *there, struct err *e)
{
    for (int i = 0; i < OTHERS_SECONDS && !*there && !cloud_rehearses(r->cloud); i++)
        if (!around_nap(r, e) || !look_at_version(r, secret, "latest", there, e))
            return false;
    return true;
}

static bool fill_own(struct target_run *r, const struct target_spec *s, const char *secret, struct err *e)
{
    bool there = false, made = false;
    return own_secret(r, s->name, secret, &made, e) && look_at_version(r, secret, "latest", &there, e) &&
           (made || await_others(r, secret, &there, e)) && (there || add_key(r, s->cloud_run, secret, e));
}

/* --- who may read it --- */

static bool grant(struct target_run *r, const char *secret, const char *email, struct err *e)
{
    struct policy_place p = {.kind = POLICY_SECRET, .names = {r->project, secret}};
    bool changed = false;
    if (!around_grant(r, &p, ACCESSOR, email, &changed, e))
        return false;
    if (changed)
        around_say(r, "it may read the secret %s", secret);
    return true;
}

bool key_make(struct target_run *r, const struct target_spec *s, const char *email, struct body_key *out,
              struct err *e)
{
    const struct cloud_run_options *o = s->cloud_run;
    *out = (struct body_key){o->key.secret, o->key.version};
    if (o->key.make) {
        char *own = own_name(r, s->name, e);
        *out = (struct body_key){own, "latest"};
        return own && fill_own(r, s, own, e) && grant(r, own, email, e);
    }
    return !out->secret || o->service_account || grant(r, out->secret, email, e);
}

/* --- taking away --- */

/* Who may not see secrets may take down a service without one; that of another he cannot, and is told. */
static bool unseen(struct target_run *r, const char *secret, const struct err *problem, struct err *e)
{
    if (problem->kind == ERR_AUTH)
        around_say(r, "whether there is a secret %s to let go of cannot be seen: %s", secret, problem->text);
    else if (problem->kind != ERR_NOT_FOUND)
        *e = *problem;
    return problem->kind == ERR_AUTH || problem->kind == ERR_NOT_FOUND;
}

bool key_let_go(struct target_run *r, const struct target_service *s, struct err *e)
{
    struct err problem = {0};
    char *own = own_name(r, s->name, e), *email = around_account_email(r, s->name, e);
    const char *secret = s->key_secret.secret;
    if (!own || !email)
        return false;
    if (!secret || strcmp(secret, own) == 0)
        return true;
    struct policy_place p = {.kind = POLICY_SECRET, .names = {s->key_secret.project, secret}};
    const char *member = arena_printf(r->arena, "serviceAccount:%s", email);
    return policy_revoke(r->cloud, &p, ACCESSOR, member, NULL, &problem) || unseen(r, secret, &problem, e);
}

bool key_remove(struct target_run *r, const char *name, struct err *e)
{
    struct err problem = {0};
    bool on = false;
    char *secret = own_name(r, name, e);
    if (!secret || !around_api_is_on(r, API, &on, e))
        return false;
    if (!on)
        return true;
    json_t *is = secret_get(r->cloud, r->project, secret, &problem);
    bool ours = label_is_ours(is), there = is != NULL;
    json_decref(is);
    if (!there)
        return unseen(r, secret, &problem, e);
    if (ours)
        around_say(r, "removing the secret %s", secret);
    return !ours || secret_delete(r->cloud, r->project, secret, e);
}

/* --- all of them --- */

struct each {
    struct target_run *run;
    key_fn fn;
    void *arg;
};

static const char *label(struct target_run *r, const json_t *secret, const char *name)
{
    const char *text = json_string_value(json_object_get(json_object_get(secret, "labels"), name));
    return text ? arena_strndup(r->arena, text, strlen(text)) : NULL;
}

static bool take(void *arg, const json_t *secret, struct err *e)
{
    struct each *each = arg;
    const char *service = label(each->run, secret, "service"), *region = label(each->run, secret, "region");
    return !service || !region || each->fn(each->arg, service, region, e);
}

bool key_each(struct target_run *r, key_fn fn, void *arg, struct err *e)
{
    struct err problem = {0};
    struct each each = {r, fn, arg};
    bool on = false;
    if (!around_api_is_on(r, API, &on, e))
        return false;
    if (!on || secret_each(r->cloud, r->project, LABEL, take, &each, &problem) || problem.kind == ERR_AUTH)
        return true;
    *e = problem;
    return false;
}
