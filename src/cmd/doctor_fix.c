#include "cmd/doctor_fix.h"

#include "base/catalog.h"
#include "cloud/policy.h"
#include "cloud/serviceusage.h"
#include "cloud/storage.h"
#include "cmd/confirm.h"
#include "cmd/terminal.h"
#include "doctor/bucket_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { QUESTION = 800 };

static const struct bucket_wish wish = {.expire_days = BUCKET_UNSAID, .soft_delete_days = BUCKET_UNSAID};

/* --- APIs --- */

static void ask_apis(const struct doctor_fix *x, const struct finding *f, char *out)
{
    size_t n = (size_t)snprintf(out, QUESTION, _("enable in project %s:"), x->project);
    for (int i = 0; i < f->item_count && n < QUESTION; i++)
        n += (size_t)snprintf(out + n, QUESTION - n, " %s", f->items[i]);
}

static bool enable_apis(struct doctor_fix *x, const struct finding *f, struct err *e)
{
    struct wait wait = {.seconds = 300, .stop = x->stop};
    return api_enable(x->cloud, x->project, f->items, f->item_count, &wait, e);
}

/* --- the bucket --- */

static void ask_bucket(const struct doctor_fix *x, const struct finding *f, char *out)
{
    (void)x;
    snprintf(out, QUESTION, _("set class, access and lifecycle of gs://%s as `ferry bucket fix` does?"),
             f->items[0]);
}

static bool fix_bucket(struct doctor_fix *x, const struct finding *f, struct err *e)
{
    json_t *bucket = bucket_get(x->cloud, f->items[0], e);
    json_t *patch = bucket ? bucket_fix(bucket, &wish) : NULL;
    const char *generation = json_string_value(json_object_get(bucket, "metageneration"));
    bool ok = bucket && (patch || err_set(e, ERR_MEMORY, "no memory for a bucket"));
    if (ok && json_object_size(patch) > 0) {
        json_t *now = bucket_patch(x->cloud, f->items[0],
                                   generation ? atoll(generation) : STORAGE_ANY_GENERATION, patch, e);
        ok = now != NULL;
        json_decref(now);
    }
    json_decref(patch);
    json_decref(bucket);
    return ok;
}

/* --- uploads --- */

static void ask_uploads(const struct doctor_fix *x, const struct finding *f, char *out)
{
    (void)x;
    snprintf(out, QUESTION, _("end %d uploads to gs://%s that nobody has finished for over a week?"),
             (f->item_count - 1) / 2, f->items[0]);
}

static bool end_uploads(struct doctor_fix *x, const struct finding *f, struct err *e)
{
    for (int i = 1; i + 1 < f->item_count; i += 2)
        if (!multipart_abort(x->cloud, f->items[0], f->items[i], f->items[i + 1], e))
            return false;
    return true;
}

/* --- the right to read --- */

static void ask_grant(const struct doctor_fix *x, const struct finding *f, char *out)
{
    (void)x;
    snprintf(out, QUESTION, _("let %s read gs://%s (roles/storage.objectViewer on this bucket)?"),
             f->items[1], f->items[0]);
}

static bool grant_read(struct doctor_fix *x, const struct finding *f, struct err *e)
{
    const struct policy_place place = {.kind = POLICY_BUCKET, .names = {f->items[0]}};
    return policy_grant(x->cloud, &place, "roles/storage.objectViewer", f->items[1], NULL, e);
}

/* --- a file --- */

static void ask_file(const struct doctor_fix *x, const struct finding *f, char *out)
{
    (void)x;
    snprintf(out, QUESTION, _("make %s readable for you alone (mode 0600)?"), f->items[0]);
}

static bool hide_file(struct doctor_fix *x, const struct finding *f, struct err *e)
{
    (void)x;
    return chmod(f->items[0], 0600) == 0 || err_errno(e, "%s", f->items[0]);
}

static const struct {
    void (*question)(const struct doctor_fix *x, const struct finding *f, char *out);
    bool (*act)(struct doctor_fix *x, const struct finding *f, struct err *e);
} remedies[] = {
    [REMEDY_ENABLE_APIS] = {ask_apis, enable_apis},    [REMEDY_FIX_BUCKET] = {ask_bucket, fix_bucket},
    [REMEDY_END_UPLOADS] = {ask_uploads, end_uploads}, [REMEDY_GRANT_READ] = {ask_grant, grant_read},
    [REMEDY_HIDE_FILE] = {ask_file, hide_file},
};

/* Several findings of one bucket have one remedy. */
static bool is_repeated(const struct findings *f, int i)
{
    for (int k = 0; k < i && f->items[i].remedy == REMEDY_FIX_BUCKET; k++)
        if (f->items[k].remedy == REMEDY_FIX_BUCKET)
            return true;
    return false;
}

static void apply(struct doctor_fix *x, const struct finding *f, const char *question)
{
    struct err e = {0};
    if (remedies[f->remedy].act(x, f, &e)) {
        x->done++;
        fprintf(stderr, _("done: %s\n"), question);
    } else {
        x->failed++;
        fprintf(stderr, _("failed: %s: %s\n"), question, e.text);
    }
}

bool doctor_fix(struct doctor_fix *x, const struct findings *f, struct err *e)
{
    char question[QUESTION];
    for (int i = 0; i < f->count; i++) {
        const struct finding *one = &f->items[i];
        if (one->remedy == REMEDY_NONE || is_repeated(f, i))
            continue;
        struct err declined = {0};
        remedies[one->remedy].question(x, one, question);
        if (confirm(question, x->yes, &declined)) {
            apply(x, one, question);
        } else if (!terminal_is(STDIN_FILENO) || !terminal_is(STDERR_FILENO)) {
            *e = declined; /* nobody is there to say yes to the others either */
            return false;
        }
    }
    return true;
}
