/* credentials.c: who asks, and whether Google takes it. */
#include "doctor/check/patient.h"

#include <string.h>

#define LOG_IN "gcloud auth application-default login"

static const char *who(const struct patient *p)
{
    return text_at(local(p, "credentials"), "name");
}

/* How the token endpoint refuses (RFC 6749, section 5.2; invalid_rapt is Google's). */
static const struct {
    const char *error, *subtype;
    bool service_account;
    const char *id, *what, *why, *next;
} refusals[] = {
    {"invalid_grant", "invalid_rapt", false, "login-reauth",
     N_("Your organisation asks for a new login every so often, and the time has come."),
     N_("Nothing can be asked of Google until you log in again; a copy that runs for longer than that should "
        "use a "
        "service account."),
     LOG_IN},
    {"invalid_grant", "", true, "key-refused",
     N_("Google does not take this service account's key: the key was deleted, or the account is disabled or "
        "gone."),
     N_("Nothing can be asked of Google with it."),
     "https://console.cloud.google.com/iam-admin/serviceaccounts"},
    {"invalid_grant", "", false, "login-expired",
     N_("This login has expired or was revoked (a changed password does that, too)."),
     N_("Nothing can be asked of Google until you log in again."), LOG_IN},
    {"invalid_client", "", false, "client-unknown",
     N_("The OAuth client of this login is gone or was changed."),
     N_("Nothing can be asked of Google until you log in again."), LOG_IN},
    {"unauthorized_client", "", false, "client-unknown",
     N_("The OAuth client of this login may not be used for this."),
     N_("Nothing can be asked of Google until you log in again."), LOG_IN},
};

static bool judge_refusal(const struct patient *p, const json_t *c)
{
    const char *error = text_at(c, "refused.error"), *subtype = text_at(c, "refused.subtype");
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        if (strcmp(refusals[i].error, error) != 0 ||
            (*refusals[i].subtype && strcmp(refusals[i].subtype, subtype)))
            continue;
        if (refusals[i].service_account && strncmp(who(p), "service account", 15) != 0)
            continue;
        struct finding *f =
            find(p, refusals[i].id, SEVERITY_PROBLEM, CERTAINTY_CERTAIN, tr(refusals[i].what));
        f->why = tr(refusals[i].why);
        f->next = refusals[i].next;
        f->reason = text_at(c, "error");
        return true;
    }
    return false;
}

static void judge_unusable(const struct patient *p, const json_t *c)
{
    const json_t *set = at(c, "set");
    bool any = json_array_size(set) > 0;
    const char *what =
        any ? say(p, "The credentials that %s names cannot be used.", text_at(item_at(set, 0), ""))
            : _("There are no Google credentials on this machine.");
    struct finding *f =
        find(p, any ? "credentials-unusable" : "credentials-none", SEVERITY_PROBLEM, CERTAINTY_CERTAIN, what);
    f->why =
        any ? _("Ferry takes the first that is there and does not go on to others, so that it never acts as "
                "somebody you did not mean.")
            : _("Without them nothing can be asked of Google. Note that `gcloud auth login` alone does not "
                "make "
                "them.");
    f->next = LOG_IN;
    f->reason = text_at(c, "error");
}

/* A token was had, and an API refuses it all the same. */
static void judge_use(const struct patient *p)
{
    const char *question;
    struct answer a;
    if (answer_any(p, VERDICT_LOGIN, &question, &a)) {
        struct finding *f = find(p, "token-refused", SEVERITY_PROBLEM, CERTAINTY_CERTAIN,
                                 say(p, "Google refuses the token of %s.", who(p)));
        f->why = _("A token lives for an hour; one that was set by hand is not renewed.");
        f->next = strstr(who(p), "FERRY_ACCESS_TOKEN")
                      ? "export FERRY_ACCESS_TOKEN=$(gcloud auth print-access-token)"
                      : LOG_IN;
        f->reason = a.reason;
    } else if (answer_any(p, VERDICT_SCOPES, &question, &a)) {
        struct finding *f = find(p, "token-scopes", SEVERITY_PROBLEM, CERTAINTY_CERTAIN,
                                 _("The token's access scopes do not cover what is asked."));
        f->why = _("A VM has the scopes it was made with, whatever roles its account has.");
        f->next = strstr(who(p), "metadata server")
                      ? "gcloud compute instances set-service-account VM --scopes=cloud-platform"
                      : LOG_IN " --scopes=https://www.googleapis.com/auth/cloud-platform";
        f->reason = a.reason;
    } else {
        fine(p, "credentials-fine", say(p, "Google knows you: %s.", who(p)));
    }
}

static void judge_file(const struct patient *p, const json_t *c)
{
    int mode = (int)number_at(c, "file_mode");
    const char *path = text_at(c, "file");
    if (!(mode & 077) || !*path)
        return;
    struct finding *f =
        find(p, "credentials-readable", SEVERITY_WARNING, CERTAINTY_CERTAIN,
             say(p, "Other users of this machine can read %s (mode %04o).", path, (unsigned)mode));
    f->why = _("Whoever reads it can act, and spend, as you.");
    f->next = verbatim(p, "chmod 600 %s", path);
    f->remedy = REMEDY_HIDE_FILE;
    remedy_item(f, path);
}

void check_credentials(struct patient *p)
{
    const json_t *c = local(p, "credentials");
    if (!c || answer_of(p, "clock").verdict == VERDICT_SILENT)
        return;
    if (true_at(c, "token"))
        judge_use(p);
    else if (!judge_refusal(p, c))
        judge_unusable(p, c);
    judge_file(p, c);
}
