/* roles.c: what the caller may do, and what the account may do under which the service runs. */
#include "doctor/check/patient.h"
#include "doctor/check/permissions.h"

#include <string.h>

static bool is_granted(const json_t *granted, const char *permission)
{
    for (size_t i = 0; i < json_array_size(granted); i++)
        if (strcmp(text_at(item_at(granted, i), ""), permission) == 0)
            return true;
    return false;
}

/* Whether an earlier row of the same role is missing, too: then that one's finding names both. */
static bool told_already(const struct permission *all, const struct permission *one, const json_t *granted)
{
    for (const struct permission *q = all; q < one; q++)
        if (strcmp(q->role, one->role) == 0 && !is_granted(granted, q->name))
            return true;
    return false;
}

static const char *missing_of_role(const struct patient *p, const struct permission *one,
                                   const json_t *granted)
{
    const char *list = "";
    for (const struct permission *q = one; q->name; q++)
        if (strcmp(q->role, one->role) == 0 && !is_granted(granted, q->name))
            list = verbatim(p, "%s%s%s", list, *list ? ", " : "", q->name);
    return list;
}

/* "user:me@example.com", as far as the credentials tell it. */
static const char *member(const struct patient *p)
{
    const char *name = text_at(local(p, "credentials"), "name"), *account = "service account ";
    if (strncmp(name, account, strlen(account)) != 0)
        return "user:YOU";
    name += strlen(account);
    return verbatim(p, "serviceAccount:%.*s", (int)strcspn(name, " "), name);
}

static void judge_project(const struct patient *p)
{
    struct answer a;
    if (!answer_good(p, "roles", &a))
        return;
    const json_t *granted = at(a.body, "permissions");
    bool all = true;
    for (const struct permission *q = permissions_of_project; q->name; q++) {
        if (is_granted(granted, q->name))
            continue;
        all = false;
        if (told_already(permissions_of_project, q, granted))
            continue;
        struct finding *f = find(p, "role-missing", SEVERITY_PROBLEM, CERTAINTY_CERTAIN,
                                 say(p, "You may not do this in project %s: %s.", subject(p, "project"),
                                     missing_of_role(p, q, granted)));
        f->why = say(p, "`%s` needs it.", q->what_for);
        f->next = verbatim(p, "gcloud projects add-iam-policy-binding %s --member=%s --role=%s",
                           subject(p, "project"), member(p), q->role);
    }
    if (all)
        fine(p, "roles-fine", _("You may do what Ferry does in this project."));
}

static void judge_act_as(const struct patient *p)
{
    struct answer a;
    const char *account = subject(p, "runtime");
    if (!answer_good(p, "act_as", &a) || is_granted(at(a.body, "permissions"), "iam.serviceAccounts.actAs"))
        return;
    struct finding *f = find(p, "act-as-missing", SEVERITY_PROBLEM, CERTAINTY_CERTAIN,
                             say(p, "You may not let a service run as %s.", account));
    f->why = _("Deploying is refused with \"iam.serviceaccounts.actAs\", whatever other roles you have.");
    f->next = verbatim(p,
                       "gcloud iam service-accounts add-iam-policy-binding %s --member=%s "
                       "--role=roles/iam.serviceAccountUser",
                       account, member(p));
}

static void judge_runtime(const struct patient *p)
{
    const char *account = subject(p, "runtime");
    struct answer a = answer_of(p, "runtime");
    if (a.verdict == VERDICT_MISSING) {
        struct finding *f =
            find(p, "runtime-missing", SEVERITY_PROBLEM, CERTAINTY_CERTAIN,
                 say(p, "The service account %s, under which the service runs, is not there.", account));
        f->why = _("What runs goes on for a while; no new instance starts. One that was deleted less than 30 "
                   "days ago "
                   "can be had back, and only that one has its roles.");
        f->next = "https://cloud.google.com/iam/docs/service-accounts-delete-undelete";
        f->reason = a.reason;
    } else if (answer_good(p, "runtime", &a) && true_at(a.body, "disabled")) {
        struct finding *f =
            find(p, "runtime-disabled", SEVERITY_PROBLEM, CERTAINTY_CERTAIN,
                 say(p, "The service account %s, under which the service runs, is disabled.", account));
        f->why = _("The service gets no token, so it can read neither its model nor its configuration.");
        f->next = verbatim(p, "gcloud iam service-accounts enable %s", account);
    }
}

/* Compute Engine's default account, which Cloud Run takes when none is named. */
static void judge_default_account(const struct patient *p)
{
    const char *account = subject(p, "runtime");
    if (!strstr(account, "-compute@developer.gserviceaccount.com"))
        return;
    struct finding *f =
        find(p, "runtime-default", SEVERITY_WARNING, CERTAINTY_CERTAIN,
             say(p, "The service runs as %s, which everything in this project shares.", account));
    f->why =
        _("In older projects that account may edit everything: whoever breaks into the service may, too.");
    f->next = verbatim(p, "ferry deploy %s", subject(p, "service"));
}

void check_roles(struct patient *p)
{
    judge_project(p);
    judge_runtime(p);
    judge_act_as(p);
    judge_default_account(p);
}
