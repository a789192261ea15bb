/* policies.c: what an organisation forbids, as far as it concerns what Ferry makes. */
#include "doctor/check/patient.h"

#include <string.h>
#include <strings.h>

#define PAGE "https://console.cloud.google.com/iam-admin/orgpolicies?project=%s"

/* Whether a list policy lets anything through: no list at all, or "ALLOW". */
static bool allows_all(const json_t *policy)
{
    const json_t *list = at(policy, "listPolicy");
    return !list || strcmp(text_at(list, "allValues"), "ALLOW") == 0 ||
           (json_array_size(at(list, "allowedValues")) == 0 &&
            json_array_size(at(list, "deniedValues")) == 0 &&
            strcmp(text_at(list, "allValues"), "DENY") != 0);
}

static bool has_value(const json_t *values, const char *value)
{
    for (size_t i = 0; i < json_array_size(values); i++)
        if (strcasecmp(text_at(item_at(values, i), ""), value) == 0)
            return true;
    return false;
}

static void judge_members(const struct patient *p)
{
    struct answer a;
    if (!answer_good(p, "policy_members", &a) || allows_all(a.body))
        return;
    struct finding *f = find(p, "policy-members", SEVERITY_NOTE, CERTAINTY_CERTAIN,
                             _("Your organisation lets only its own accounts be granted anything "
                               "(iam.allowedPolicyMemberDomains)."));
    f->why = _("A service that anybody may call cannot be made with allUsers; calls with an identity token "
               "work, and so "
               "does turning the check off for the service.");
    f->next = verbatim(p, "gcloud run services update %s --no-invoker-iam-check",
                       *subject(p, "service") ? subject(p, "service") : "NAME");
}

/* "in:asia-northeast1-locations", "in:jp-locations", "in:asia-locations", "asia-northeast1": groups are by
 * region, country and continent (resource-manager/docs/organization-policy/defining-locations). */
static bool may_hold(const struct patient *p, const json_t *values, const char *region)
{
    const char *country = strstr(region, "asia-northeast1") || strstr(region, "asia-northeast2") ? "jp" : "";
    return has_value(values, region) || has_value(values, verbatim(p, "in:%s-locations", region)) ||
           (*country && has_value(values, verbatim(p, "in:%s-locations", country))) ||
           has_value(values, verbatim(p, "in:%.*s-locations", (int)strcspn(region, "-"), region));
}

static void judge_places(const struct patient *p)
{
    struct answer a;
    const char *region = subject(p, "region");
    if (!*region || !answer_good(p, "policy_places", &a) || allows_all(a.body))
        return;
    const json_t *allowed = at(a.body, "listPolicy.allowedValues"),
                 *denied = at(a.body, "listPolicy.deniedValues");
    bool refused = json_array_size(allowed) ? !may_hold(p, allowed, region) : may_hold(p, denied, region);
    if (!refused)
        return;
    struct finding *f =
        find(p, "policy-places", SEVERITY_PROBLEM, CERTAINTY_LIKELY,
             say(p, "Your organisation does not let resources be in %s (gcp.resourceLocations).", region));
    f->why = _("Buckets and services there are refused. Groups of places are the organisation's, so this may "
               "not see "
               "all that it allows.");
    f->next = verbatim(p, PAGE, subject(p, "project"));
}

static void judge_ingress(const struct patient *p)
{
    struct answer a;
    if (!answer_good(p, "policy_ingress", &a) || allows_all(a.body) ||
        has_value(at(a.body, "listPolicy.allowedValues"), "all"))
        return;
    struct finding *f = find(p, "policy-ingress", SEVERITY_WARNING, CERTAINTY_CERTAIN,
                             _("Your organisation lets services be called from inside its network alone "
                               "(run.allowedIngress)."));
    f->why = _("From elsewhere the service answers 404, as if it were not there.");
    f->next = verbatim(p, PAGE, subject(p, "project"));
}

static void judge_addresses(const struct patient *p)
{
    struct answer a;
    if (!answer_good(p, "policy_addresses", &a) ||
        strcmp(text_at(a.body, "listPolicy.allValues"), "DENY") != 0)
        return;
    struct finding *f =
        find(p, "policy-addresses", SEVERITY_NOTE, CERTAINTY_CERTAIN,
             _("Your organisation lets no VM have an external address (compute.vmExternalIpAccess)."));
    f->why = _("A VM that copies from Hugging Face needs one, or Cloud NAT, which costs; a Cloud Run job "
               "needs neither.");
    f->next = "ferry stage --via job";
}

static void judge_perimeter(const struct patient *p)
{
    const char *question;
    struct answer a;
    if (!answer_any(p, VERDICT_PERIMETER, &question, &a))
        return;
    struct finding *f = find(p, "policy-perimeter", SEVERITY_PROBLEM, CERTAINTY_CERTAIN,
                             _("A perimeter of VPC Service Controls refuses calls from here."));
    f->why = _("It looks at where you call from, not at your roles; its administrator finds the refusal "
               "under the id in "
               "its words.");
    f->next = "https://console.cloud.google.com/security/service-perimeter";
    f->reason = a.reason;
}

void check_policies(struct patient *p)
{
    judge_perimeter(p);
    judge_members(p);
    judge_places(p);
    judge_ingress(p);
    judge_addresses(p);
}
