/* bucket.c: the bucket a model lies in: where, of which class, who may read it, whether the model is whole,
 * and what is charged for without use. */
#include "doctor/bucket_plan.h"
#include "doctor/check/patient.h"
#include "doctor/check/permissions.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define GIB 1073741824.0

static const char *name(const struct patient *p)
{
    return subject(p, "bucket");
}

/* --- is it there --- */

/* Cloud Storage names the state of the account of the project that owns the bucket: absent, closed,
 * delinquent. */
static void judge_owner(const struct patient *p, const struct answer *a)
{
    bool ours_pays = true_at(answer_of(p, "billing").body, "billingEnabled");
    bool absent = strstr(a->problem.message, "absent") != NULL;
    if (!ours_pays && answer_of(p, "billing").verdict == VERDICT_GOOD)
        return; /* the check of billing has told it */
    struct finding *f = find(
        p, "bucket-owner-billing", SEVERITY_PROBLEM, CERTAINTY_LIKELY,
        absent ? say(p, "gs://%s belongs to a project without a billing account, and it is not %s.", name(p),
                     subject(p, "project"))
               : say(p, "gs://%s belongs to a project whose billing account is closed, and it is not %s.",
                     name(p), subject(p, "project")));
    f->why = _("Without an open account of its owner even reading fails; nothing that you change in your own "
               "project "
               "helps.");
    f->next = _("Ask the owner of the bucket to link an open billing account, or stage the model to a bucket "
                "of yours: "
                "ferry bucket create NAME");
    f->reason = a->reason;
}

static void judge_refusal(const struct patient *p, const struct answer *a)
{
    struct finding *f;
    switch (a->verdict) {
    case VERDICT_BILLING:
        judge_owner(p, a);
        break;
    case VERDICT_MISSING:
        f = find(p, "bucket-missing", SEVERITY_PROBLEM, CERTAINTY_CERTAIN,
                 say(p, "There is no bucket gs://%s.", name(p)));
        f->why = _("The model that the service is to load lies there.");
        f->next = verbatim(p, "ferry bucket create %s --region %s", name(p), subject(p, "region"));
        f->reason = a->reason;
        break;
    case VERDICT_FORBIDDEN:
        f = find(p, "bucket-forbidden", SEVERITY_PROBLEM, CERTAINTY_CERTAIN,
                 say(p, "You may not look at gs://%s.", name(p)));
        f->why = _("It may be somebody else's: names of buckets are taken world-wide.");
        f->next = verbatim(p,
                           "gcloud storage buckets add-iam-policy-binding gs://%s --member=user:YOU "
                           "--role=roles/storage.admin",
                           name(p));
        f->reason = a->reason;
        break;
    default:
        unseen(p, "bucket", a);
    }
}

/* --- what it is like --- */

static bool same_region(const struct patient *p, const json_t *bucket)
{
    return strcasecmp(text_at(bucket, "location"), subject(p, "region")) == 0;
}

static void judge_location(const struct patient *p, const json_t *bucket)
{
    const char *type = text_at(bucket, "locationType"), *location = text_at(bucket, "location");
    struct finding *f;
    if (*type && strcmp(type, "region") != 0) {
        f = find(p, "bucket-multi-region", SEVERITY_WARNING, CERTAINTY_CERTAIN,
                 say(p, "gs://%s lies in several regions (%s, %s).", name(p), location, type));
        f->why = _("That costs more to keep, and reading from a service in one region is charged for and may "
                   "come from "
                   "afar.");
    } else if (*subject(p, "region") && !same_region(p, bucket)) {
        f = find(p, "bucket-region", SEVERITY_WARNING, CERTAINTY_CERTAIN,
                 say(p, "gs://%s lies in %s, the service in %s.", name(p), location, subject(p, "region")));
        f->why = _("Each cold start reads the whole model from another region: slower, and never free.");
    } else {
        return;
    }
    f->next = *subject(p, "region")
                  ? verbatim(p,
                             "ferry bucket create NAME --region %s && ferry cp -r gs://%s/%s "
                             "gs://NAME/%s",
                             subject(p, "region"), name(p), subject(p, "prefix"), subject(p, "prefix"))
                  : verbatim(p, "ferry bucket create NAME --region REGION");
}

static void judge_class(const struct patient *p, const struct bucket_fact *fact)
{
    if (fact->state == BUCKET_FINE)
        return;
    struct finding *f = find(p, "bucket-class", SEVERITY_WARNING, CERTAINTY_CERTAIN,
                             say(p, "New objects in gs://%s are of class %s.", name(p), fact->is));
    f->why = _("Every cold start reads the model, and these classes charge for each byte read and for a "
               "least time of "
               "keeping: Standard is cheaper.");
    f->next = verbatim(p, "ferry bucket fix %s", name(p));
    f->remedy = REMEDY_FIX_BUCKET;
    remedy_item(f, name(p));
}

/* Facts that `ferry bucket fix` sets right: one finding each. */
static void judge_access(const struct patient *p, const struct bucket_fact *fact, const char *id,
                         const char *what, const char *why)
{
    if (fact->state == BUCKET_FINE)
        return;
    struct finding *f = find(p, id, SEVERITY_WARNING, CERTAINTY_CERTAIN, what);
    f->why = why;
    f->next = verbatim(p, "ferry bucket fix %s", name(p));
    f->remedy = REMEDY_FIX_BUCKET;
    remedy_item(f, name(p));
}

static void judge_soft_delete(const struct patient *p, const json_t *bucket)
{
    double days = number_at(bucket, "softDeletePolicy.retentionDurationSeconds") / 86400;
    if (days < 0.5)
        return;
    struct finding *f = find(
        p, "bucket-soft-delete", SEVERITY_NOTE, CERTAINTY_CERTAIN,
        say(p, "What is deleted in gs://%s is kept, and charged for, for %.0f more days.", name(p), days));
    f->why = _("That is Google's default. It saves from mistakes; models can be staged again.");
    f->next = verbatim(p, "ferry bucket fix %s --soft-delete off", name(p));
}

/* --- who may read it --- */

static bool binds(const json_t *policy, const char *member, const char *const *roles)
{
    const json_t *bindings = at(policy, "bindings");
    for (size_t i = 0; i < json_array_size(bindings); i++) {
        const json_t *b = item_at(bindings, i), *members = at(b, "members");
        bool right = false;
        for (const char *const *r = roles; *r; r++)
            right = right || strcmp(text_at(b, "role"), *r) == 0;
        for (size_t k = 0; right && k < json_array_size(members); k++)
            if (strcmp(text_at(item_at(members, k), ""), member) == 0)
                return true;
    }
    return false;
}

static const char *const readers[] = {"roles/storage.objectViewer",       "roles/storage.objectUser",
                                      "roles/storage.objectAdmin",        "roles/storage.admin",
                                      "roles/storage.legacyObjectReader", NULL};

static void judge_runtime(const struct patient *p, const json_t *policy)
{
    const char *account = subject(p, "runtime"), *member = verbatim(p, "serviceAccount:%s", account);
    if (!*account || binds(policy, member, readers))
        return;
    struct finding *f = find(p, "runtime-cannot-read", SEVERITY_WARNING, CERTAINTY_LIKELY,
                             say(p, "The bucket gives %s no right to read it.", account));
    f->why =
        _("Unless a role on the whole project gives it that, the service finds no model when it starts.");
    f->next = verbatim(p,
                       "gcloud storage buckets add-iam-policy-binding gs://%s --member=%s "
                       "--role=roles/storage.objectViewer",
                       name(p), member);
    f->remedy = REMEDY_GRANT_READ;
    remedy_item(f, name(p));
    remedy_item(f, member);
}

static void judge_policy(const struct patient *p)
{
    struct answer a;
    if (!answer_good(p, "bucket_policy", &a))
        return;
    bool all = binds(a.body, "allUsers", readers);
    if (all || binds(a.body, "allAuthenticatedUsers", readers)) {
        struct finding *f =
            find(p, "bucket-open", SEVERITY_PROBLEM, CERTAINTY_CERTAIN,
                 say(p, "Anybody%s can read gs://%s.", all ? "" : _(" with a Google account"), name(p)));
        f->why = _(
            "What they download is charged to you: 16.8 GB over the internet is some two dollars each time.");
        f->next = verbatim(p,
                           "gcloud storage buckets remove-iam-policy-binding gs://%s --member=%s "
                           "--role=roles/storage.objectViewer",
                           name(p), all ? "allUsers" : "allAuthenticatedUsers");
    }
    judge_runtime(p, a.body);
}

static void judge_permissions(const struct patient *p)
{
    struct answer a;
    const char *missing = "";
    if (!answer_good(p, "bucket_roles", &a))
        return;
    for (const struct permission *q = permissions_of_bucket; q->name; q++) {
        bool granted = false;
        const json_t *list = at(a.body, "permissions");
        for (size_t i = 0; i < json_array_size(list); i++)
            granted = granted || strcmp(text_at(item_at(list, i), ""), q->name) == 0;
        if (!granted)
            missing = verbatim(p, "%s%s%s", missing, *missing ? ", " : "", q->name);
    }
    if (!*missing)
        return;
    struct finding *f = find(p, "bucket-role-missing", SEVERITY_PROBLEM, CERTAINTY_CERTAIN,
                             say(p, "You may not do this in gs://%s: %s.", name(p), missing));
    f->why = _("`ferry stage` and `ferry cp` need it.");
    f->next = verbatim(p,
                       "gcloud storage buckets add-iam-policy-binding gs://%s --member=user:YOU "
                       "--role=roles/storage.objectUser",
                       name(p));
}

/* --- the model in it --- */

static const json_t *object_named(const json_t *objects, const char *full)
{
    for (size_t i = 0; i < json_array_size(objects); i++)
        if (strcmp(text_at(item_at(objects, i), "name"), full) == 0)
            return item_at(objects, i);
    return NULL;
}

static const char *full_name(const struct patient *p, const char *leaf)
{
    const char *prefix = subject(p, "prefix");
    bool slash = *prefix && prefix[strlen(prefix) - 1] != '/';
    return verbatim(p, "%s%s%s", prefix, slash ? "/" : "", leaf);
}

static const char *source_of(const struct patient *p)
{
    const char *source = text_at(answer_of(p, "manifest").body, "source");
    return *source ? source : "OWNER/MODEL";
}

static const char *stage_again(const struct patient *p)
{
    return verbatim(p, "ferry stage %s gs://%s/%s", source_of(p), name(p), subject(p, "prefix"));
}

static void judge_file(const struct patient *p, const json_t *file, const json_t *objects)
{
    const char *leaf = text_at(file, "name");
    const json_t *object = object_named(objects, full_name(p, leaf));
    const char *theirs = text_at(object, "crc32c"), *ours = text_at(file, "crc32c");
    struct finding *f;
    if (!object) {
        f = find(p, "model-file-missing", SEVERITY_PROBLEM, CERTAINTY_CERTAIN,
                 say(p, "%s is missing, although the model's manifest names it.", leaf));
    } else if (number_at(object, "size") != number_at(file, "size") ||
               (*theirs && *ours && strcmp(theirs, ours) != 0)) {
        f = find(p, "model-file-changed", SEVERITY_PROBLEM, CERTAINTY_CERTAIN,
                 say(p, "%s is not what was staged: it was replaced since.", leaf));
    } else {
        return;
    }
    f->why = _("The service checks every range it reads and ends when one is wrong.");
    f->next = stage_again(p);
}

static void judge_no_manifest(const struct patient *p, const struct answer *a)
{
    struct answer o = answer_of(p, "objects");
    bool any = json_array_size(at(o.body, "items")) > 0;
    if (o.verdict != VERDICT_GOOD) {
        unseen(p, "manifest", a);
        return;
    }
    struct finding *f =
        any ? find(p, "model-incomplete", SEVERITY_WARNING, CERTAINTY_LIKELY,
                   say(p, "gs://%s/%s has no manifest: it was not staged to its end, or not by Ferry.",
                       name(p), subject(p, "prefix")))
            : find(p, "model-missing", SEVERITY_PROBLEM, CERTAINTY_CERTAIN,
                   say(p, "There is nothing in gs://%s/%s.", name(p), subject(p, "prefix")));
    f->why = any ? _("Without one nothing says that the model is whole, and nothing is checked but what TLS "
                     "checks.")
                 : _("The service finds no model when it starts.");
    f->next = stage_again(p);
}

static void judge_model(const struct patient *p)
{
    struct answer a = answer_of(p, "manifest"), o;
    if (a.verdict == VERDICT_MISSING) {
        judge_no_manifest(p, &a);
        return;
    }
    if (!answer_good(p, "manifest", &a) || !answer_good(p, "objects", &o))
        return;
    const json_t *files = at(a.body, "files");
    if (!json_is_array(files)) {
        struct finding *f = find(p, "model-manifest-broken", SEVERITY_PROBLEM, CERTAINTY_CERTAIN,
                                 _("The model's manifest cannot be read."));
        f->why = _("The service does not load a model whose manifest is broken.");
        f->next = stage_again(p);
        return;
    }
    if (!json_is_array(at(o.body, "items")) || *text_at(o.body, "nextPageToken"))
        return; /* a listing of more than a page: what is missing may be on the next */
    int before = p->out->count;
    for (size_t i = 0; i < json_array_size(files) && p->out->count < before + 3; i++)
        judge_file(p, item_at(files, i), at(o.body, "items"));
    if (p->out->count == before)
        fine(p, "model-fine", say(p, "The model in gs://%s/%s is whole.", name(p), subject(p, "prefix")));
}

/* --- uploads that were never finished --- */

/* The text between <tag> and </tag> from *at on, which moves behind it; NULL: no more of them. */
static const char *element(const struct patient *p, const char **at_, const char *tag)
{
    const char *open = verbatim(p, "<%s>", tag), *begin = strstr(*at_, open), *end;
    if (!begin)
        return NULL;
    begin += strlen(open);
    end = strchr(begin, '<');
    if (!end)
        return NULL;
    *at_ = end;
    return verbatim(p, "%.*s", (int)(end - begin), begin);
}

/* Uploads that began more than a week ago: one that still goes on is younger, and `ferry stage` goes on with
 * its own. */
struct old_uploads {
    int count;
    const char *oldest;
    struct finding draft; /* its items alone */
};

static void take_upload(struct old_uploads *u, const char *key, const char *id, const char *since)
{
    u->count++;
    if (!u->oldest || strcmp(since, u->oldest) < 0)
        u->oldest = since;
    if (u->draft.item_count + 2 > ITEMS_MOST)
        return;
    remedy_item(&u->draft, key);
    remedy_item(&u->draft, id);
}

static void judge_uploads(const struct patient *p)
{
    struct answer a;
    struct old_uploads u = {0};
    const char *rest, *key, *id, *since, *week_ago = text_at(local(p, "week_ago"), "");
    if (!answer_good(p, "uploads", &a) || !*week_ago)
        return;
    remedy_item(&u.draft, name(p));
    rest = text_at(a.whole, "text");
    while ((key = element(p, &rest, "Key")) && (id = element(p, &rest, "UploadId")) &&
           (since = element(p, &rest, "Initiated")))
        if (strcmp(since, week_ago) < 0)
            take_upload(&u, key, id, since);
    if (!u.count)
        return;
    struct finding *f =
        find(p, "uploads-unfinished", SEVERITY_WARNING, CERTAINTY_CERTAIN,
             say(p,
                 "Uploads that were begun over a week ago and never finished lie in gs://%s: %d, the "
                 "oldest of %.10s.",
                 name(p), u.count, u.oldest));
    f->why = _("Their parts are charged for and appear in no listing.");
    f->next = verbatim(p, "ferry bucket fix %s", name(p));
    f->remedy = REMEDY_END_UPLOADS;
    f->item_count = u.draft.item_count;
    memcpy(f->items, u.draft.items, sizeof f->items);
}

static void judge_likeness(const struct patient *p, const json_t *bucket)
{
    struct bucket_wish wish = {.expire_days = BUCKET_UNSAID, .soft_delete_days = BUCKET_UNSAID};
    struct bucket_fact facts[BUCKET_FACTS];
    bucket_compare(bucket, &wish, facts);
    judge_location(p, bucket);
    judge_class(p, &facts[1]);
    judge_access(
        p, &facts[2], "bucket-acl", say(p, "Each object of gs://%s has an access list of its own.", name(p)),
        _("Who may read what cannot be seen in one place, and a role on the bucket may not be enough."));
    judge_access(p, &facts[3], "bucket-public", say(p, "gs://%s can be made public.", name(p)),
                 _("One wrong grant, and anybody downloads at your cost."));
    judge_access(p, &facts[5], "bucket-keeps-uploads",
                 say(p, "gs://%s keeps unfinished uploads for ever.", name(p)),
                 _("An upload that broke off is charged for each month, and no listing shows it."));
    judge_soft_delete(p, bucket);
}

void check_bucket(struct patient *p)
{
    struct answer a = answer_of(p, "bucket");
    if (a.verdict == VERDICT_ABSENT)
        return;
    if (a.verdict != VERDICT_GOOD) {
        judge_refusal(p, &a);
        return;
    }
    int before = p->out->count;
    judge_likeness(p, a.body);
    if (p->out->count == before)
        fine(p, "bucket-fine", say(p, "gs://%s is as it should be.", name(p)));
    judge_permissions(p);
    judge_policy(p);
    judge_model(p);
    judge_uploads(p);
}
