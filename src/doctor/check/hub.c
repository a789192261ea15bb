/* hub.c: whether the model can be had from Hugging Face. */
#include "doctor/check/patient.h"

#include <string.h>

#define TOKENS "https://huggingface.co/settings/tokens"

static const char *page(const struct patient *p)
{
    return verbatim(p, "https://huggingface.co/%s", subject(p, "repo"));
}

static bool judge_token(const struct patient *p)
{
    struct answer a = answer_of(p, "hub_account");
    const char *origin = text_at(a.whole, "token");
    if (a.status != 401 || !*origin)
        return true; /* without a token the hub answers 401, which is fine */
    struct finding *f =
        find(p, "hub-token", SEVERITY_PROBLEM, CERTAINTY_CERTAIN,
             say(p, "Hugging Face does not take the token of %s: it is wrong, or was deleted.", origin));
    f->why = _("With a bad token even public models are refused.");
    f->next = TOKENS;
    return false;
}

/* What X-Error-Code says (huggingface_hub's utils/_http.py). */
static void judge_refusal(const struct patient *p, const struct answer *a)
{
    const char *code = text_at(a->whole, "code"), *message = text_at(a->whole, "message"),
               *repo = subject(p, "repo");
    bool token = *text_at(a->whole, "token");
    struct finding *f;
    if (strcmp(code, "GatedRepo") == 0) {
        f = find(p, "hub-gated", SEVERITY_PROBLEM, CERTAINTY_CERTAIN, say(p, "%s is gated.", repo));
        f->why = token ? _("The account of your token has not accepted the licence, or waits for an answer.")
                       : _("Its licence has to be accepted, and a token sent along.");
        f->next = page(p);
    } else if (strstr(message, "Access to this resource is disabled")) {
        f = find(p, "hub-disabled", SEVERITY_PROBLEM, CERTAINTY_CERTAIN,
                 say(p, "Hugging Face has disabled %s.", repo));
        f->why = _("It cannot be had from there any more.");
        f->next = page(p);
    } else if (a->status == 403) {
        f = find(p, "hub-right", SEVERITY_PROBLEM, CERTAINTY_CERTAIN,
                 say(p, "Your token may not read %s.", repo));
        f->why = _("A fine-grained token needs \"Read access to contents\" of that repository.");
        f->next = TOKENS;
    } else {
        f = find(p, "hub-missing", SEVERITY_PROBLEM, CERTAINTY_UNKNOWN,
                 say(p, "Hugging Face shows no %s: it does not say whether there is none.", repo));
        f->why = _("It cannot be staged.");
        f->next = page(p);
        maybe(f, _("The name is misspelt, or it was renamed or deleted"),
              _("The page shows 404 while you are logged in"));
        maybe(f, _("It is private"),
              token ? _("The page is there when you are logged in as a member, and your token is "
                        "another account's")
                    : _("The page is there when you are logged in: set HF_TOKEN"));
        maybe(f, _("It is gated"), _("The page asks to accept a licence"));
    }
    f->reason = a->reason;
}

static void judge_limit(const struct patient *p, const struct answer *a)
{
    struct finding *f = find(p, "hub-limit", SEVERITY_WARNING, CERTAINTY_CERTAIN,
                             _("Hugging Face answers that there were too many requests from here."));
    f->why =
        _("The limit is per address and goes away within minutes; with a token it is higher and your own.");
    f->next = "export HF_TOKEN=hf_…";
    f->reason = a->reason;
}

void check_hub(struct patient *p)
{
    struct answer a = answer_of(p, "hub_repo");
    if (!judge_token(p) || a.verdict == VERDICT_ABSENT)
        return;
    if (a.verdict == VERDICT_GOOD)
        fine(p, "hub-fine", say(p, "%s can be had from Hugging Face.", subject(p, "repo")));
    else if (a.verdict == VERDICT_RATE)
        judge_limit(p, &a);
    else if (a.status == 401 || a.status == 403 || a.status == 404)
        judge_refusal(p, &a);
    else
        unseen(p, "hub_repo", &a);
}
