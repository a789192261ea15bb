#include "target/cloud_run.h"

#include "base/catalog.h"
#include "base/clock.h"
#include "cloud/label.h"
#include "cloud/logging.h"
#include "cloud/policy.h"
#include "cloud/run.h"
#include "target/cloud_run/around.h"
#include "target/cloud_run/body.h"
#include "target/cloud_run/key.h"
#include "target/cloud_run/look.h"

#include <stdio.h>
#include <string.h>

#define INVOKER "roles/run.invoker"

enum { REVISION_SECONDS = 900 /* the longest startup probe, and what comes before it */, OWN_LINES = 10 };

static struct run_name name_of(const struct target_run *r, const char *name)
{
    return (struct run_name){r->project, r->region, name};
}

/* --- waiting --- */

static bool tell_wait(void *arg, double seconds, struct err *e)
{
    (void)e;
    if ((int)seconds % 10 == 0 && seconds >= 10)
        around_say(arg, "waiting for the revision, %.0f s", seconds);
    return true;
}

static json_t *finish(struct target_run *r, json_t *begun, struct err *e)
{
    struct wait w = {.seconds = REVISION_SECONDS, .stop = r->stop, .on_wait = tell_wait, .arg = r};
    return operation_finish(r->cloud, "run", "v2", begun, &w, e);
}

/* Another deploy is at it: its end is waited for. A reference; NULL with *e set, ERR_NOT_FOUND for none. */
static json_t *get_settled(struct target_run *r, const char *name, struct err *e)
{
    struct run_name n = name_of(r, name);
    struct wait w = {.seconds = REVISION_SECONDS, .stop = r->stop};
    struct pace pace = {.wait = &w};
    json_t *is = service_get(r->cloud, &n, e);
    if (is && json_is_true(json_object_get(is, "reconciling")))
        around_say(r, "another deploy of %s is under way; waiting for it", name);
    while (is && json_is_true(json_object_get(is, "reconciling"))) {
        json_decref(is);
        is = pace_wait(&pace, e) ? service_get(r->cloud, &n, e) : NULL;
    }
    return is;
}

/* A request that Google finds wrong (billing closed, a quota, a bad image) is no mistake in the command line.
 * Always false. */
static bool not_usage(struct err *e)
{
    if (e->kind == ERR_USAGE)
        e->kind = ERR_IO;
    return false;
}

/* --- a revision that failed --- */

static bool say_line(void *arg, const struct log_line *l, struct err *e)
{
    (void)e;
    around_say(arg, "  %s %s", l->severity, l->text);
    return true;
}

/* What the container said itself often tells more than Cloud Run does. That they cannot be read is no reason
 * to hide why the revision failed. */
static void say_own_lines(struct target_run *r, const char *name)
{
    struct err ignored = {0};
    struct run_name n = name_of(r, name);
    json_t *is = service_get(r->cloud, &n, &ignored);
    const char *revision = json_string_value(json_object_get(is, "latestCreatedRevision"));
    char *filter = revision ? arena_printf(r->arena,
                                           "resource.type=\"cloud_run_revision\" AND "
                                           "resource.labels.revision_name=\"%s\"",
                                           body_last(revision))
                            : NULL;
    struct log_query q = {
        .project = r->project, .filter = filter, .order = LOG_OLDEST_FIRST, .most = OWN_LINES};
    if (filter && !log_each(r->cloud, &q, say_line, r, &ignored))
        around_say(r, "its log cannot be read: %s", ignored.text);
    json_decref(is);
}

static bool settle(struct target_run *r, const char *name, bool update, json_t *begun, struct err *e)
{
    json_t *done = finish(r, begun, e);
    bool ok = done != NULL;
    json_decref(done);
    if (ok || !begun || e->kind == ERR_CANCELLED || e->kind == ERR_TRANSIENT)
        return ok;
    say_own_lines(r, name);
    not_usage(e);
    return err_wrap(e,
                    update ? N_("the new revision of %s is not ready, requests go to the old one")
                           : N_("%s is not ready"),
                    name);
}

/* --- creating and changing --- */

static bool create(struct target_run *r, const struct target_spec *s, const json_t *body, struct err *e)
{
    struct run_name n = name_of(r, s->name);
    if (s->cloud_run->no_traffic)
        return err_set(e, ERR_USAGE,
                       "--no-traffic: there is no service %s yet whose revision could answer meanwhile",
                       s->name);
    around_say(r, "making the service %s in %s", s->name, r->region);
    return settle(r, s->name, false, service_create(r->cloud, &n, body, e), e);
}

/* Requests stay where they are. */
static bool hold_traffic(json_t *body, const json_t *is, struct err *e)
{
    const char *serving = body_serving(is);
    json_t *traffic = serving ? body_traffic_to(serving) : NULL;
    return traffic ? json_object_set_new(body, "traffic", traffic) == 0
                   : err_set(e, ERR_UNSUPPORTED, "--no-traffic: no single revision gets all requests now");
}

static bool is_ours(const json_t *is, const char *name, struct err *e)
{
    return label_is_ours(is) ||
           err_set(e, ERR_USAGE,
                   "there is a service %s that Ferry has not made (no label " LABEL "): take another name",
                   name);
}

static bool failed_last(const json_t *is)
{
    const char *state = json_string_value(json_object_get(json_object_get(is, "terminalCondition"), "state"));
    return state && strcmp(state, "CONDITION_FAILED") == 0;
}

/* The etag makes a change by somebody else in between a refusal. A template that has failed is sent with a
 * new annotation: the same again would make no new revision. */
static bool change(struct target_run *r, const struct target_spec *s, json_t *body, const json_t *is,
                   struct err *e)
{
    struct run_name n = name_of(r, s->name);
    if (!is_ours(is, s->name, e) || (s->cloud_run->no_traffic && !hold_traffic(body, is, e)))
        return false;
    char again[40];
    snprintf(again, sizeof again, "%llx", (unsigned long long)clock_ns());
    if (failed_last(is))
        json_object_set_new(json_object_get(body, "template"), "annotations",
                            json_pack("{s:s}", "ferry/again", again));
    char *mask = body_mask(body, is, r->arena);
    if (!mask)
        return err_set(e, ERR_MEMORY, "no memory");
    if (!*mask) {
        around_say(r, "%s is like that already", s->name);
        return true;
    }
    json_object_set(body, "etag", json_object_get(is, "etag"));
    around_say(r, "changing %s: %s", s->name, mask);
    return settle(r, s->name, true, service_patch(r->cloud, &n, mask, body, e), e);
}

static bool put_service(struct target_run *r, const struct target_spec *s, json_t *body, struct err *e)
{
    struct err problem = {0};
    json_t *is = get_settled(r, s->name, &problem);
    if (!is && !around_is_nothing(r, "run.googleapis.com", &problem)) {
        *e = problem;
        return false;
    }
    bool ok = is ? change(r, s, body, is, e) : create(r, s, body, e);
    json_decref(is);
    return ok;
}

static bool set_callers(struct target_run *r, const struct target_spec *s, struct err *e)
{
    struct policy_place p = {.kind = POLICY_SERVICE, .names = {r->project, r->region, s->name}};
    return s->cloud_run->is_public ? policy_grant(r->cloud, &p, INVOKER, "allUsers", NULL, e)
                                   : policy_revoke(r->cloud, &p, INVOKER, "allUsers", NULL, e);
}

static bool find_account(struct target_run *r, const struct target_spec *s, const char **email, struct err *e)
{
    char *made;
    *email = s->cloud_run->service_account;
    if (*email)
        return around_given_account(r, s, s->cloud_run->key.secret, e);
    bool ok = around_account(r, s, &made, e);
    *email = made;
    return ok;
}

static bool apply(struct target_run *r, const struct target_spec *s, struct target_service *out,
                  struct err *e)
{
    const struct cloud_run_options *o = s->cloud_run;
    const char *email;
    char *image;
    struct body_key key;
    if (!around_enable_apis(r, o->key.secret || o->key.make, e) || !key_check(r, o, e) ||
        !find_account(r, s, &email, e) || !key_make(r, s, email, &key, e) || !around_repository(r, e) ||
        !(image = around_image(r, o, e)))
        return not_usage(e);
    json_t *body = body_make(s, image, email, &key);
    bool ok = body ? put_service(r, s, body, e) : err_set(e, ERR_MEMORY, "no memory for the service");
    json_decref(body);
    ok = ok && set_callers(r, s, e);
    return ok && (cloud_rehearses(r->cloud) || look_at(r, s->name, out, e));
}

/* --- who copies beside the bucket --- */

bool cloud_run_copier(struct target_run *r, const struct target_spec *s, struct cloud_run_copier *out,
                      struct err *e)
{
    const struct cloud_run_options *o = s->cloud_run;
    bool ok = around_enable_apis(r, o->key.secret || o->key.make, e) &&
              find_account(r, s, &out->account, e) && around_repository(r, e) &&
              (out->image = around_image(r, o, e)) &&
              (o->service_account || around_writer(r, s, out->account, true, e));
    return ok || not_usage(e);
}

bool cloud_run_copied(struct target_run *r, const struct target_spec *s, struct err *e)
{
    const char *email = s->cloud_run->service_account ? "" : around_account_email(r, s->name, e);
    return email && (!*email || around_writer(r, s, email, false, e));
}

/* --- going back --- */

struct before {
    struct arena *arena;
    const char *serving, *found;
    bool passed;
};

static bool is_good(const json_t *revision)
{
    const json_t *conditions = json_object_get(revision, "conditions");
    for (size_t i = 0; i < json_array_size(conditions); i++) {
        const json_t *c = json_array_get(conditions, i);
        const char *type = json_string_value(json_object_get(c, "type")),
                   *state = json_string_value(json_object_get(c, "state"));
        if (type && state && strcmp(type, "Ready") == 0)
            return strcmp(state, "CONDITION_SUCCEEDED") == 0;
    }
    return false;
}

static bool take_before(void *arg, const json_t *revision, struct err *e)
{
    struct before *b = arg;
    const char *name = json_string_value(json_object_get(revision, "name"));
    (void)e;
    name = name ? body_last(name) : "";
    if (b->passed && !b->found && is_good(revision))
        b->found = arena_strndup(b->arena, name, strlen(name));
    b->passed = b->passed || strcmp(name, b->serving) == 0;
    return true;
}

static bool go_back(struct target_run *r, const char *name, const json_t *is, struct err *e)
{
    struct run_name n = name_of(r, name);
    struct before b = {.arena = r->arena, .serving = body_serving(is)};
    if (!is_ours(is, name, e))
        return false;
    if (!b.serving)
        return err_set(e, ERR_UNSUPPORTED, "%s: no single revision gets all requests now", name);
    if (!revision_each(r->cloud, &n, take_before, &b, e))
        return false;
    if (!b.found)
        return err_set(e, ERR_NOT_FOUND, "%s: there is no good revision before %s", name, b.serving);
    around_say(r, "requests go from %s back to %s", b.serving, b.found);
    json_t *body =
        json_pack("{s:o, s:O}", "traffic", body_traffic_to(b.found), "etag", json_object_get(is, "etag"));
    json_t *done = body ? finish(r, service_patch(r->cloud, &n, "traffic", body, e), e) : NULL;
    json_decref(body);
    json_decref(done);
    return done != NULL;
}

bool cloud_run_rollback(struct target_run *r, const char *name, struct target_service *out, struct err *e)
{
    json_t *is = get_settled(r, name, e);
    bool ok = is && go_back(r, name, is, e);
    json_decref(is);
    return ok && (cloud_rehearses(r->cloud) || look_at(r, name, out, e));
}

/* --- taking away --- */

static bool gone(struct target_run *r, const char *region, const char *name, struct err *e)
{
    struct run_name n = {r->project, region, name};
    struct err problem = {0};
    json_t *is = service_get(r->cloud, &n, &problem);
    json_decref(is);
    if (is)
        return err_set(e, ERR_BUSY, "service %s is still there; run this again", name);
    if (problem.kind != ERR_NOT_FOUND)
        *e = problem;
    return problem.kind == ERR_NOT_FOUND;
}

static bool remove_service(struct target_run *r, const char *region, const char *name, struct err *e)
{
    struct run_name n = {r->project, region, name};
    json_t *done = finish(r, service_delete(r->cloud, &n, e), e);
    json_decref(done);
    return done && gone(r, region, name, e);
}

/* Images cost while they lie there. */
static bool remove_last(struct target_run *r, const char *region, struct err *e)
{
    int others = 0;
    if (!look_count(r, region, &others, e))
        return false;
    if (others > 0)
        return true;
    around_say(r, "removing the images in %s, which nothing uses any more", region);
    return around_repository_remove(r, region, e);
}

/* The account goes last: it says what belongs to the service, so that the rest is found again after a kill.
 */
bool cloud_run_destroy(struct target_run *r, const char *name, const struct cloud_run_more *more,
                       struct err *e)
{
    struct target_service s = {0};
    if (!look_at(r, name, &s, e))
        return false;
    around_say(r, "removing the service %s in %s", name, s.region);
    return key_let_go(r, &s, e) && remove_service(r, s.region, name, e) && remove_last(r, s.region, e) &&
           (!more || more->remove(more->arg, e)) && key_remove(r, name, e) &&
           around_account_remove(r, name, e);
}

static bool destroy(struct target_run *r, const char *name, struct err *e)
{
    return cloud_run_destroy(r, name, NULL, e);
}

bool cloud_run_memories(struct target_run *r, cloud_run_memory_fn fn, void *arg, struct err *e)
{
    return around_account_each(r, fn, arg, e);
}

const struct target target_cloud_run = {
    .name = "cloud-run", .apply = apply, .status = look_status, .logs = look_logs, .destroy = destroy};
