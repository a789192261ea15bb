/* billing.c: whether somebody pays. The API tells that an account is not open, not why: closed by its owner,
 * suspended, unpaid and waiting for an identity check all look alike. So the reasons are told as candidates,
 * with how to recognise each, from Google's documents of 2025-09 to 2026-04 (docs/doctor.md names them). */
#include "doctor/check/patient.h"

#include <string.h>

#define CONSOLE "https://console.cloud.google.com/billing"

static void add_causes_of_closed(struct finding *f)
{
    maybe(f, _("The owner closed it"),
          _("The account's page (\"Account Management\", filter \"Status: Active\" taken away) has the "
            "button \"Reopen "
            "billing account\". Projects are charged again from then on; link them anew if they do not come "
            "back"));
    maybe(f, _("A payment was declined, or the card has expired"),
          _("There is no such button; \"Transactions\" shows the bank's reason. Add or repair the card under "
            "\"Payment "
            "method\" and pay what is open. It is the bank that declines, so ask there, too"));
    maybe(f, _("Google wants to verify identity or payment"),
          _("There is no such button, and the owner has an e-mail or the console a banner about "
            "verification. Send the "
            "form https://support.google.com/cloud/contact/verify : photo of the card or a bank statement "
            "with name "
            "and last 4 digits, and the 18-character account id. Open no second account meanwhile"));
    maybe(f,
          _("The card is of a kind that Google does not take: prepaid, virtual, or a debit card with its own "
            "second "
            "factor"),
          _("\"Payment method\" shows which card it is, and Google's page of accepted payment methods the "
            "kinds. A card without a "
            "printed number is not named there: with a real credit account behind it it should do, and the "
            "statement in "
            "place of its photo"));
    maybe(f, _("The account is paid by invoice"), _("Only sales or Cloud Billing Support reopen those"));
    maybe(f, _("You are no administrator of the account"),
          _("The button is missing for you alone: it needs roles/billing.admin on the account"));
}

static const char *what_happens(void)
{
    return _("Nothing runs, and even reading a bucket fails. The data is still there at first, but what "
             "stays unpaid for long "
             "may be lost, and no day is named: act within days. A closed payments profile can be reopened "
             "for 30 days only.");
}

/* An open account that the caller may see, to link instead; "" when there is none. */
static const char *open_account(const struct patient *p)
{
    const json_t *list = at(answer_of(p, "accounts").body, "billingAccounts");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = text_at(item_at(list, i), "name");
        if (true_at(item_at(list, i), "open") && strncmp(name, "billingAccounts/", 16) == 0)
            return name + 16;
    }
    return "";
}

static const char *link_it(const struct patient *p)
{
    const char *account = open_account(p);
    if (*account)
        return verbatim(p, "gcloud billing projects link %s --billing-account=%s", subject(p, "project"),
                        account);
    return CONSOLE "/projects";
}

static void judge_none(const struct patient *p)
{
    struct finding *f = find(p, "billing-none", SEVERITY_PROBLEM, CERTAINTY_CERTAIN,
                             say(p, "No billing account is linked to project %s.", subject(p, "project")));
    f->why = _("Without one no API can be enabled and no bucket read, free tier or not.");
    f->next = link_it(p);
    if (*open_account(p))
        return;
    maybe(f, _("You have no billing account yet"),
          _("https://console.cloud.google.com/billing offers \"Add billing account\""));
    maybe(f, _("You have one that is closed"),
          _("It appears there when the filter \"Status: Active\" is taken away"));
    maybe(f, _("It belongs to somebody else"),
          _("They grant you roles/billing.user on it, or link it themselves"));
    maybe(f, _("It has as many projects as it may have"),
          _("Linking says \"Cloud billing quota exceeded\": ask for more at "
            "https://support.google.com/code/contact/billing_quota_increase"));
}

static void judge_closed(const struct patient *p, const json_t *account)
{
    struct finding *f = find(p, "billing-closed", SEVERITY_PROBLEM, CERTAINTY_UNKNOWN,
                             say(p, "The billing account of project %s (%s) is not open.",
                                 subject(p, "project"), text_at(account, "displayName")));
    f->why = what_happens();
    f->next = verbatim(p, CONSOLE "/%s/manage", subject(p, "account"));
    add_causes_of_closed(f);
}

/* Open, and yet the project is not charged: it lost its link to it, or is just getting it. */
static void judge_off(const struct patient *p)
{
    struct finding *f = find(p, "billing-off", SEVERITY_PROBLEM, CERTAINTY_LIKELY,
                             say(p, "The billing account is open, but billing is not enabled for project %s.",
                                 subject(p, "project")));
    f->why = _(
        "Right after linking or reopening it takes some minutes; later it means that the link has to be made "
        "anew.");
    f->next = verbatim(p, "gcloud billing projects link %s --billing-account=%s", subject(p, "project"),
                       subject(p, "account"));
}

static void judge_account_hidden(const struct patient *p, bool enabled, const struct answer *a)
{
    struct finding *f =
        enabled ? find(p, "billing-account-hidden", SEVERITY_NOTE, CERTAINTY_UNKNOWN,
                       _("You may not see the billing account, so whether it is open is not known."))
                : find(p, "billing-off-account-hidden", SEVERITY_PROBLEM, CERTAINTY_UNKNOWN,
                       _("Billing is off, and you may not see the billing account: whether it is closed "
                         "is not known."));
    f->why = enabled ? _("As long as calls work, as they do below, nothing is wrong.") : what_happens();
    f->next = verbatim(p,
                       "gcloud billing accounts add-iam-policy-binding %s --member=user:YOU "
                       "--role=roles/billing.viewer",
                       subject(p, "account"));
    f->reason = a->reason;
    if (!enabled)
        add_causes_of_closed(f);
}

/* Whether some other API refuses for want of billing although the project seems to have it. The bucket's
 * owner may be another project: bucket.c tells that. */
static bool judge_contradiction(const struct patient *p)
{
    const char *question;
    struct answer a;
    if (!answer_any(p, VERDICT_BILLING, &question, &a) || strcmp(question, "bucket") == 0)
        return false;
    struct finding *f = find(p, "billing-contradiction", SEVERITY_PROBLEM, CERTAINTY_UNKNOWN,
                             _("Billing seems to be in order, and yet Google refuses for want of it."));
    f->why = _("The call that fails is the truth; what the billing API says can lag behind.");
    f->next = verbatim(p, CONSOLE "/linkedaccount?project=%s", subject(p, "project"));
    f->reason = a.reason;
    maybe(f, _("The account was linked or reopened a moment ago"),
          _("It goes away by itself within minutes"));
    maybe(f, _("The account is being suspended"), _("The page has a banner, or its owner an e-mail"));
    return true;
}

static void judge_account(const struct patient *p, bool enabled)
{
    struct answer a = answer_of(p, "account");
    if (a.verdict == VERDICT_FORBIDDEN || a.verdict == VERDICT_MISSING)
        judge_account_hidden(p, enabled, &a);
    else if (a.verdict != VERDICT_GOOD)
        answer_good(p, "account", &a);
    else if (!true_at(a.body, "open"))
        judge_closed(p, a.body);
    else if (!enabled)
        judge_off(p);
    else if (!judge_contradiction(p))
        fine(p, "billing-fine",
             say(p, "Billing account \"%s\" is open and linked.", text_at(a.body, "displayName")));
}

/* What billingInfo cannot be asked for shows in other answers. */
static void judge_unseen(const struct patient *p, const struct answer *asked)
{
    const char *question;
    struct answer a;
    if (!answer_any(p, VERDICT_BILLING, &question, &a) || strcmp(question, "bucket") == 0) {
        unseen(p, "billing", asked);
        return;
    }
    struct finding *f =
        find(p, "billing-refused", SEVERITY_PROBLEM, CERTAINTY_UNKNOWN,
             _("Google refuses for want of billing; which account it is, or whether there is one, you "
               "may not see."));
    f->why = what_happens();
    f->next = verbatim(p, CONSOLE "/linkedaccount?project=%s", subject(p, "project"));
    f->reason = a.reason;
    maybe(f, _("No billing account is linked"), _("The page says \"This project has no billing account\""));
    add_causes_of_closed(f);
}

static void judge_tax(const struct patient *p)
{
    const char *question;
    struct answer a;
    if (!answer_any(p, VERDICT_TAX, &question, &a))
        return;
    struct finding *f = find(p, "billing-tax", SEVERITY_PROBLEM, CERTAINTY_CERTAIN,
                             _("Google misses tax information of the billing account for this place."));
    f->why = _("Until it has that, resources there are refused.");
    f->next = "https://pay.google.com/gp/w/home/settings";
    f->reason = a.reason;
}

void check_billing(struct patient *p)
{
    struct answer a = answer_of(p, "billing");
    judge_tax(p);
    if (a.verdict == VERDICT_ABSENT)
        return;
    if (a.verdict != VERDICT_GOOD)
        judge_unseen(p, &a);
    else if (!*text_at(a.body, "billingAccountName"))
        judge_none(p);
    else
        judge_account(p, true_at(a.body, "billingEnabled"));
}
