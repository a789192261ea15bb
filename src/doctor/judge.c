#include "doctor/judge.h"

#include "doctor/check/patient.h"

static const struct {
    const char *name, *title;
    void (*check)(struct patient *p);
} checks[] = {
    {"clock", N_("Clock and network"), check_clock},
    {"credentials", N_("Credentials"), check_credentials},
    {"project", N_("Project"), check_project},
    {"billing", N_("Billing"), check_billing},
    {"apis", N_("APIs"), check_apis},
    {"roles", N_("Permissions"), check_roles},
    {"quota", N_("Quota"), check_quota},
    {"policies", N_("Organisation policies"), check_policies},
    {"bucket", N_("Bucket"), check_bucket},
    {"service", N_("Service"), check_service},
    {"hub", N_("Hugging Face"), check_hub},
    {"leftovers", N_("What still costs"), check_leftovers},
    {"machine", N_("This machine"), check_machine},
};

const char *doctor_check(int n, const char **title)
{
    if (n < 0 || n >= (int)(sizeof checks / sizeof *checks))
        return NULL;
    *title = tr(checks[n].title);
    return checks[n].name;
}

void doctor_judge(const json_t *record, const struct prices *prices, struct findings *out)
{
    struct patient p = {.record = record, .prices = prices, .out = out};
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        p.check = checks[i].name;
        checks[i].check(&p);
    }
}
