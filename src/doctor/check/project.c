/* project.c: which project it is, and whether it is alive. */
#include "doctor/check/patient.h"

#include <string.h>

#define SET_PROJECT "gcloud config set project PROJECT"

/* The first source wins; the others are told only when they name another project. */
static void judge_sources(const struct patient *p)
{
    const json_t *sources = local(p, "projects");
    const char *first = text_at(item_at(sources, 0), "project"), *others = "";
    for (size_t i = 1; i < json_array_size(sources); i++) {
        const json_t *s = item_at(sources, i);
        if (strcmp(text_at(s, "project"), first) != 0)
            others = verbatim(p, "%s%s%s (%s)", others, *others ? ", " : "", text_at(s, "project"),
                              text_at(s, "from"));
    }
    if (!*others)
        return;
    struct finding *f = find(p, "projects-disagree", SEVERITY_WARNING, CERTAINTY_CERTAIN,
                             say(p, "Ferry uses project %s (%s), but another is set too: %s.", first,
                                 text_at(item_at(sources, 0), "from"), others));
    f->why = _(
        "Other tools may take the other one: buckets are then made here and services there, and the bill and "
        "the permissions are not those you look at.");
    f->next =
        verbatim(p, "gcloud config set project %s && gcloud auth application-default set-quota-project %s",
                 first, first);
}

static void judge_quota_project(const struct patient *p)
{
    const char *question, *quota = text_at(local(p, "credentials"), "quota_project");
    struct answer a;
    if (!answer_any(p, VERDICT_QUOTA_PROJECT, &question, &a))
        return;
    struct finding *f =
        *quota ? find(p, "quota-project-denied", SEVERITY_PROBLEM, CERTAINTY_CERTAIN,
                      say(p, "Calls are charged to the quota project %s, which you may not use.", quota))
               : find(p, "quota-project-missing", SEVERITY_PROBLEM, CERTAINTY_CERTAIN,
                      _("These credentials do not say which project the calls are charged to."));
    f->why = _("With a user's login some APIs refuse every call without one.");
    f->next = verbatim(p, "gcloud auth application-default set-quota-project %s",
                       *subject(p, "project") ? subject(p, "project") : "PROJECT");
    f->reason = a.reason;
}

static void judge_none(const struct patient *p)
{
    struct finding *f = find(p, "project-none", SEVERITY_PROBLEM, CERTAINTY_CERTAIN,
                             _("It is not said which project this is about."));
    f->why =
        _("Billing, permissions and services belong to a project; without one they cannot be looked at.");
    f->next = SET_PROJECT;
}

static void judge_hidden(const struct patient *p, const struct answer *a)
{
    const char *id = subject(p, "project");
    struct finding *f =
        find(p, "project-hidden", SEVERITY_PROBLEM, CERTAINTY_UNKNOWN,
             say(p, "Project %s is not there, or you may not see it: Google does not say which.", id));
    f->why = _("Nothing in it can be asked for.");
    f->next = "gcloud projects list";
    f->reason = a->reason;
    maybe(f, _("Its name is misspelt, or the name or number was given in place of the id"),
          _("`gcloud projects list` shows the id in its first column"));
    maybe(f, _("You are logged in with another account"),
          say(p, "Ferry asks as %s", text_at(local(p, "credentials"), "name")));
    maybe(f, _("Your account has no role in it"),
          _("Its owner grants roles/viewer, or the roles that are missing below"));
    maybe(f, _("It was deleted more than 30 days ago"),
          _("https://console.cloud.google.com/cloud-resource-manager lists those about to be deleted"));
}

static void judge_suspended(const struct patient *p, const struct answer *a)
{
    struct finding *f = find(p, "project-suspended", SEVERITY_PROBLEM, CERTAINTY_CERTAIN,
                             say(p, "Google has suspended project %s.", subject(p, "project")));
    f->why = _("Everything in it stands still. Google has written to its owners why (abuse, a payment, terms "
               "of use), "
               "and an appeal has a deadline.");
    f->next = verbatim(p, "https://console.cloud.google.com/appeal?project=%s", subject(p, "project"));
    f->reason = a->reason;
}

static void judge_state(const struct patient *p, const json_t *body)
{
    const char *id = subject(p, "project");
    if (strcmp(text_at(body, "lifecycleState"), "ACTIVE") == 0) {
        fine(p, "project-fine", say(p, "Project %s is active.", id));
        return;
    }
    struct finding *f =
        find(p, "project-deleted", SEVERITY_PROBLEM, CERTAINTY_CERTAIN,
             say(p, "Project %s is about to be deleted (%s).", id, text_at(body, "lifecycleState")));
    f->why = _("It can be had back for 30 days after the deletion; buckets and services may go sooner.");
    f->next = verbatim(p, "gcloud projects undelete %s", id);
}

void check_project(struct patient *p)
{
    const char *question;
    struct answer a;
    if (!local(p, "projects"))
        return;
    judge_quota_project(p);
    if (!*subject(p, "project")) {
        judge_none(p);
        return;
    }
    judge_sources(p);
    if (answer_any(p, VERDICT_SUSPENDED, &question, &a)) {
        judge_suspended(p, &a);
        return;
    }
    a = answer_of(p, "project");
    if (a.verdict == VERDICT_FORBIDDEN || a.verdict == VERDICT_MISSING || a.verdict == VERDICT_NO_PROJECT)
        judge_hidden(p, &a);
    else if (answer_good(p, "project", &a))
        judge_state(p, a.body);
}
