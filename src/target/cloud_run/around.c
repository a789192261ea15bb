#include "target/cloud_run/around.h"

#include "base/crc32c.h"
#include "base/stop.h"
#include "cloud/artifact.h"
#include "cloud/iam.h"
#include "cloud/label.h"
#include "cloud/serviceusage.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define READER "roles/storage.objectViewer"
#define WRITER "roles/storage.objectUser"
#define NOTE LABEL

enum { ACCOUNT_ID_MAX = 30, NAME_KEPT = 15, NEW_ACCOUNT_TRIES = 30, DESCRIPTION_MAX = 256 /* bytes, IAM */ };

void around_say(struct target_run *r, const char *format, ...)
{
    char line[1000];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (r->say && !cloud_rehearses(r->cloud))
        r->say(r->arg, line);
}

static struct wait patience(struct target_run *r)
{
    return (struct wait){.stop = r->stop};
}

/* --- APIs --- */

bool around_enable_apis(struct target_run *r, bool with_secrets, struct err *e)
{
    static const char *const apis[] = {"run.googleapis.com", "artifactregistry.googleapis.com",
                                       "iam.googleapis.com", "logging.googleapis.com",
                                       "secretmanager.googleapis.com" /* last */};
    enum { COUNT = sizeof apis / sizeof *apis };
    const char *missing[COUNT];
    bool enabled[COUNT];
    int n = 0, count = with_secrets ? COUNT : COUNT - 1;
    if (!api_enabled(r->cloud, r->project, apis, count, enabled, e))
        return false;
    for (int i = 0; i < count; i++)
        if (!enabled[i])
            missing[n++] = apis[i];
    if (n == 0)
        return true;
    around_say(r, "enabling %d API%s of project %s", n, n > 1 ? "s" : "", r->project);
    struct wait w = patience(r);
    return api_enable(r->cloud, r->project, missing, n, &w, e);
}

bool around_api_is_on(struct target_run *r, const char *api, bool *on, struct err *e)
{
    struct err problem = {0};
    bool known = api_enabled(r->cloud, r->project, &api, 1, on, &problem);
    if (known || problem.kind == ERR_AUTH) {
        *on = known ? *on : true;
        return true;
    }
    *e = problem;
    return false;
}

bool around_is_nothing(struct target_run *r, const char *api, const struct err *problem)
{
    struct err ignored = {0};
    bool on = true;
    if (problem->kind == ERR_NOT_FOUND)
        return true;
    return problem->kind == ERR_AUTH && cloud_rehearses(r->cloud) &&
           around_api_is_on(r, api, &on, &ignored) && !on;
}

/* --- the runtime account --- */

/* A checksum that no name of our own form ends with by chance: eight hex digits behind a dash. */
static char *account_id(struct target_run *r, const char *name)
{
    if (strlen("ferry-") + strlen(name) <= ACCOUNT_ID_MAX)
        return arena_printf(r->arena, "ferry-%s", name);
    return arena_printf(r->arena, "ferry-%.*s-%08x", NAME_KEPT, name, crc32c(0, name, strlen(name)));
}

char *around_account_email(struct target_run *r, const char *name, struct err *e)
{
    char *id = account_id(r, name);
    char *email = id ? arena_printf(r->arena, "%s@%s.iam.gserviceaccount.com", id, r->project) : NULL;
    if (!email)
        err_set(e, ERR_MEMORY, "no memory");
    return email;
}

/* "my-models" of "gs://my-models/qwen", in the arena. */
static char *bucket_of(struct arena *a, const char *uri)
{
    return arena_strndup(a, uri + strlen("gs://"), strcspn(uri + strlen("gs://"), "/"));
}

/* The buckets it reads: "models", or "models configs". */
static char *buckets_of(struct target_run *r, const struct target_spec *s)
{
    char *all = bucket_of(r->arena, s->model);
    for (const char *const *v = s->environment; all && *v; v++) {
        bool config = strncmp(*v, "FERRY_CONFIG=gs://", 18) == 0;
        char *bucket = config ? bucket_of(r->arena, *v + strlen("FERRY_CONFIG=")) : NULL;
        if (bucket && strcmp(bucket, all) != 0)
            all = arena_printf(r->arena, "%s %s", all, bucket);
    }
    return all;
}

/* The URI of its live configuration in a bucket; "": none. */
static const char *config_of(const struct target_spec *s)
{
    static const char name[] = "FERRY_CONFIG=";
    for (const char *const *v = s->environment; *v; v++)
        if (strncmp(*v, name, sizeof name - 1) == 0 && strncmp(*v + sizeof name - 1, "gs://", 5) == 0)
            return *v + sizeof name - 1;
    return "";
}

/* What was deployed stands there, too, where it goes in: a deploy that was killed has no service to say it.
 */
static char *note_of(struct target_run *r, const struct target_spec *s, const char *buckets)
{
    const char *config = config_of(s);
    char *whole = arena_printf(r->arena, NOTE " service=%s region=%s model=%s config=%s buckets=%s", s->name,
                               r->region, s->model, config, buckets);
    bool fits = whole && strlen(whole) <= DESCRIPTION_MAX && !strchr(s->model, ' ') && !strchr(config, ' ');
    return fits
               ? whole
               : arena_printf(r->arena, NOTE " service=%s region=%s buckets=%s", s->name, r->region, buckets);
}

static bool make_account(struct target_run *r, const struct target_spec *s, const char *email,
                         const char *buckets, struct err *e)
{
    struct err problem = {0};
    json_t *is = account_get(r->cloud, r->project, email, &problem);
    json_decref(is);
    if (is || !around_is_nothing(r, "iam.googleapis.com", &problem)) {
        if (!is && e)
            *e = problem;
        return is != NULL;
    }
    problem = (struct err){0};
    around_say(r, "making the service account %s", email);
    struct account_new n = {.project = r->project,
                            .id = account_id(r, s->name),
                            .display_name = arena_printf(r->arena, "ferry: %s", s->name),
                            .description = note_of(r, s, buckets)};
    json_t *made = account_create(r->cloud, &n, &problem);
    json_decref(made);
    if (!made && problem.kind != ERR_BUSY && e)
        *e = problem;
    return made || problem.kind == ERR_BUSY; /* there: another deploy has made it */
}

bool around_nap(struct target_run *r, struct err *e)
{
    if (stop_wanted(r->stop))
        return err_set(e, ERR_CANCELLED, "interrupted");
    nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
    return true;
}

/* A new account is not known everywhere at once. */
bool around_grant(struct target_run *r, const struct policy_place *p, const char *role, const char *email,
                  bool *changed, struct err *e)
{
    struct err problem = {0};
    const char *member = arena_printf(r->arena, "serviceAccount:%s", email);
    for (int i = 0; i < NEW_ACCOUNT_TRIES; i++) {
        problem = (struct err){0};
        if (policy_grant(r->cloud, p, role, member, changed, &problem))
            return true;
        if (problem.kind != ERR_USAGE || !strstr(problem.text, "does not exist") || !around_nap(r, &problem))
            break;
    }
    *e = problem;
    return false;
}

static bool grant(struct target_run *r, const char *bucket, const char *email, struct err *e)
{
    struct policy_place p = {.kind = POLICY_BUCKET, .names = {bucket}};
    bool changed = false;
    if (!around_grant(r, &p, READER, email, &changed, e))
        return false;
    if (changed)
        around_say(r, "it may read gs://%s", bucket);
    return true;
}

/* The next word of *list, in the arena; NULL: no more. */
static char *next_bucket(struct arena *a, const char **list)
{
    *list += strspn(*list, " ");
    size_t n = strcspn(*list, " ");
    char *word = n ? arena_strndup(a, *list, n) : NULL;
    *list += n;
    return word;
}

bool around_account(struct target_run *r, const struct target_spec *s, char **email, struct err *e)
{
    const char *buckets = buckets_of(r, s), *bucket;
    *email = around_account_email(r, s->name, e);
    if (!*email || !buckets || !make_account(r, s, *email, buckets, e))
        return false;
    while ((bucket = next_bucket(r->arena, &buckets)))
        if (!grant(r, bucket, *email, e))
            return false;
    return true;
}

bool around_writer(struct target_run *r, const struct target_spec *s, const char *email, bool may,
                   struct err *e)
{
    const char *bucket = bucket_of(r->arena, s->model);
    const char *member = arena_printf(r->arena, "serviceAccount:%s", email);
    struct policy_place p = {.kind = POLICY_BUCKET, .names = {bucket}};
    bool changed = false;
    if (!bucket || !member)
        return err_set(e, ERR_MEMORY, "no memory");
    if (!(may ? around_grant(r, &p, WRITER, email, &changed, e)
              : policy_revoke(r->cloud, &p, WRITER, member, &changed, e)))
        return false;
    if (changed)
        around_say(
            r, may ? "it may write to gs://%s while the model is copied" : "it may no more write to gs://%s",
            bucket);
    return true;
}

/* --- an account of the user's --- */

/* Rights may come from a folder, a group or a role of one's own: what is not seen is not missing for sure. */
static bool is_named(struct target_run *r, const struct policy_place *p, const char *email)
{
    struct err ignored = {0};
    const char *member = arena_printf(r->arena, "serviceAccount:%s", email);
    json_t *policy = policy_get(r->cloud, p, &ignored);
    bool named = policy_has(policy, NULL, member);
    json_decref(policy);
    return named;
}

static void look_at_bucket(struct target_run *r, const char *bucket, const char *email)
{
    struct policy_place p = {.kind = POLICY_BUCKET, .names = {bucket}};
    if (!is_named(r, &p, email))
        around_say(r,
                   "the policy of gs://%s does not name %s; if it may not read it by other means: gcloud "
                   "storage buckets add-iam-policy-binding gs://%s --member=serviceAccount:%s --role=" READER,
                   bucket, email, bucket, email);
}

static void look_at_secret(struct target_run *r, const char *secret, const char *email)
{
    struct policy_place p = {.kind = POLICY_SECRET, .names = {r->project, secret}};
    if (!is_named(r, &p, email))
        around_say(r,
                   "the policy of secret %s does not name %s; if it may not read it by other means: gcloud "
                   "secrets add-iam-policy-binding %s --member=serviceAccount:%s "
                   "--role=roles/secretmanager.secretAccessor",
                   secret, email, secret, email);
}

/* One of another project cannot be looked at from here. */
static bool account_is_there(struct target_run *r, const char *email, struct err *e)
{
    struct err problem = {0};
    const char *here = arena_printf(r->arena, "@%s.iam.gserviceaccount.com", r->project);
    const char *at = strchr(email, '@');
    if (!here || !at || strcmp(at, here) != 0)
        return true;
    json_t *is = account_get(r->cloud, r->project, email, &problem);
    bool there = is != NULL;
    json_decref(is);
    if (!there && problem.kind == ERR_NOT_FOUND)
        return err_set(
            e, ERR_NOT_FOUND,
            "--service-account: there is no %s; `gcloud iam service-accounts create` makes one, and "
            "without the option Ferry does",
            email);
    return true; /* whoever may use an account need not be allowed to look at it */
}

bool around_given_account(struct target_run *r, const struct target_spec *s, const char *secret,
                          struct err *e)
{
    const char *email = s->cloud_run->service_account, *buckets = buckets_of(r, s), *bucket;
    if (!buckets)
        return err_set(e, ERR_MEMORY, "no memory");
    if (!account_is_there(r, email, e))
        return false;
    while ((bucket = next_bucket(r->arena, &buckets)))
        look_at_bucket(r, bucket, email);
    if (secret)
        look_at_secret(r, secret, email);
    return true;
}

/* --- accounts that are there --- */

static bool is_ours(const char *note)
{
    return note && strncmp(note, NOTE " ", sizeof NOTE) == 0;
}

/* The text behind " key=" up to `end`, in the arena; "" when it is not there. */
static char *noted(struct arena *a, const char *note, const char *key, const char *end)
{
    const char *at = strstr(note, key);
    at = at ? at + strlen(key) : "";
    return arena_strndup(a, at, strcspn(at, end));
}

struct each {
    struct target_run *run;
    around_account_fn fn;
    void *arg;
};

static bool take_account(void *arg, const json_t *account, struct err *e)
{
    struct each *each = arg;
    const char *note = json_string_value(json_object_get(account, "description"));
    if (!is_ours(note))
        return true;
    struct cloud_run_memory a = {.service = noted(each->run->arena, note, " service=", " "),
                                 .region = noted(each->run->arena, note, " region=", " "),
                                 .model = noted(each->run->arena, note, " model=", " "),
                                 .config = noted(each->run->arena, note, " config=", " "),
                                 .buckets = noted(each->run->arena, note, " buckets=", "")};
    return each->fn(each->arg, &a, e);
}

bool around_account_each(struct target_run *r, around_account_fn fn, void *arg, struct err *e)
{
    bool on = false;
    struct each each = {r, fn, arg};
    return around_api_is_on(r, "iam.googleapis.com", &on, e) &&
           (!on || account_each(r->cloud, r->project, take_account, &each, e));
}

/* A bucket that is gone has no policy any more. */
static bool take_right(struct target_run *r, const char *bucket, const char *member, struct err *e)
{
    struct policy_place p = {.kind = POLICY_BUCKET, .names = {bucket}};
    struct err problem = {0};
    if (policy_revoke(r->cloud, &p, NULL, member, NULL, &problem) || problem.kind == ERR_NOT_FOUND)
        return true;
    *e = problem;
    return false;
}

bool around_account_remove(struct target_run *r, const char *name, struct err *e)
{
    struct err problem = {0};
    char *email = around_account_email(r, name, e), *bucket;
    json_t *account = email ? account_get(r->cloud, r->project, email, &problem) : NULL;
    if (!account && problem.kind == ERR_NOT_FOUND)
        return true;
    const char *note = json_string_value(json_object_get(account, "description"));
    if (account && !is_ours(note)) {
        json_decref(account);
        return true;
    }
    const char *buckets = note ? noted(r->arena, note, " buckets=", "") : "";
    const char *member = arena_printf(r->arena, "serviceAccount:%s", email);
    bool ok = account != NULL;
    if (!account && email)
        *e = problem;
    while (ok && (bucket = next_bucket(r->arena, &buckets)))
        ok = take_right(r, bucket, member, e);
    json_decref(account);
    return ok && account_delete(r->cloud, r->project, email, e);
}

/* --- the repository --- */

bool around_repository(struct target_run *r, struct err *e)
{
    struct repository_name n = {r->project, r->region, CLOUD_RUN_REPOSITORY};
    struct err problem = {0};
    json_t *is = repository_get(r->cloud, &n, &problem);
    json_decref(is);
    if (is || !around_is_nothing(r, "artifactregistry.googleapis.com", &problem)) {
        if (!is)
            *e = problem;
        return is != NULL;
    }
    around_say(r, "making the repository of images in %s", r->region);
    json_t *labels = json_pack("{s:s}", LABEL_NAME, LABEL_OWNER);
    struct wait w = patience(r);
    problem = (struct err){0};
    json_t *made = operation_finish(r->cloud, "artifactregistry", "v1",
                                    repository_create(r->cloud, &n, labels, &problem), &w, &problem);
    json_decref(labels);
    json_decref(made);
    if (!made && problem.kind != ERR_BUSY)
        *e = problem;
    return made || problem.kind == ERR_BUSY;
}

bool around_repository_remove(struct target_run *r, const char *region, struct err *e)
{
    struct repository_name n = {r->project, region, CLOUD_RUN_REPOSITORY};
    struct wait w = patience(r);
    json_t *gone =
        operation_finish(r->cloud, "artifactregistry", "v1", repository_delete(r->cloud, &n, e), &w, e);
    json_decref(gone);
    return gone != NULL;
}

/* --- the image --- */

static bool tell_push(struct target_run *r, const struct image *im, const struct cloud_run_options *o,
                      const struct push_options *push, struct err *e)
{
    int count = 0;
    const struct push_request *all = registry_plan(im, push, r->arena, &count, e);
    for (int i = 0; all && o->on_push_request && i < count; i++)
        o->on_push_request(r->arg, &all[i]);
    return all != NULL;
}

char *around_image(struct target_run *r, const struct cloud_run_options *o, struct err *e)
{
    struct reference to;
    char *name =
        arena_printf(r->arena, "%s-docker.pkg.dev/%s/" CLOUD_RUN_REPOSITORY "/ferry", r->region, r->project);
    if (!name || !reference_parse(&to, name, r->arena, e))
        return NULL;
    struct image *im =
        image_build(&(struct image_options){.program = o->program, .created = IMAGE_DATE_OF_PROGRAM}, e);
    struct push_options push = {.to = &to, .stop = r->stop, .on_blob = o->on_blob, .arg = r->arg};
    bool ok = im && (cloud_rehearses(r->cloud) ? tell_push(r, im, o, &push, e)
                                               : registry_push(r->cloud, im, &push, e));
    char *pinned = ok ? arena_printf(r->arena, "%s@%s", name, im->manifest.digest) : NULL;
    image_free(im);
    if (ok && !pinned)
        err_set(e, ERR_MEMORY, "no memory");
    return pinned;
}
