/* apis.c: whether the project has the APIs enabled that Ferry calls. */
#include "doctor/check/patient.h"

#include <string.h>

/* Needed by `ferry deploy` and what belongs to it; the others only by what is named. */
static const struct {
    const char *api;
    const char *what_for; /* NULL: needed in any case */
} apis[] = {
    {"run.googleapis.com", NULL},
    {"storage.googleapis.com", NULL},
    {"artifactregistry.googleapis.com", NULL},
    {"iam.googleapis.com", NULL},
    {"cloudresourcemanager.googleapis.com", NULL},
    {"cloudbilling.googleapis.com", NULL},
    {"logging.googleapis.com", NULL},
    {"serviceusage.googleapis.com", NULL},
    {"compute.googleapis.com", N_("`ferry stage --via vm`")},
    {"secretmanager.googleapis.com", N_("keys that a service asks its clients for")},
    {"cloudquotas.googleapis.com", N_("the doctor's look at quotas")},
};

static const char *what_for(const char *api)
{
    for (size_t i = 0; i < sizeof apis / sizeof *apis; i++)
        if (strcmp(apis[i].api, api) == 0)
            return apis[i].what_for ? tr(apis[i].what_for) : NULL;
    return _("something the doctor asks");
}

struct off {
    const char *needed[sizeof apis / sizeof *apis + 8], *optional[sizeof apis / sizeof *apis + 8];
    int needed_count, optional_count;
};

static void add(const struct patient *p, struct off *o, const char *api)
{
    bool optional = what_for(api) != NULL;
    const char **list = optional ? o->optional : o->needed;
    int *count = optional ? &o->optional_count : &o->needed_count;
    for (int i = 0; i < *count; i++)
        if (strcmp(list[i], api) == 0)
            return;
    if (*count < (int)(sizeof o->needed / sizeof *o->needed))
        list[(*count)++] = verbatim(p, "%s", api);
}

/* "projects/123/services/run.googleapis.com" */
static const char *last_part(const char *name)
{
    const char *slash = strrchr(name, '/');
    return slash ? slash + 1 : name;
}

static void add_listed(const struct patient *p, const json_t *services, struct off *o)
{
    for (size_t i = 0; i < json_array_size(services); i++)
        if (strcmp(text_at(item_at(services, i), "state"), "ENABLED") != 0)
            add(p, o, last_part(text_at(item_at(services, i), "name")));
}

/* APIs that the listing does not know of, or that refused although it could not be asked for. */
static void add_refusing(const struct patient *p, struct off *o)
{
    const char *name;
    json_t *one, *answers = json_object_get(p->record, "answers");
    json_object_foreach(answers, name, one)
    {
        struct answer a = answer_of(p, name);
        if (a.verdict == VERDICT_API_OFF && a.problem.service[0])
            add(p, o, a.problem.service);
    }
}

static const char *join(const struct patient *p, const char *const *items, int count, const char *between)
{
    const char *text = "";
    for (int i = 0; i < count; i++)
        text = verbatim(p, "%s%s%s", text, i ? between : "", items[i]);
    return text;
}

static void judge_needed(const struct patient *p, const struct off *o)
{
    struct finding *f =
        find(p, "apis-disabled", SEVERITY_PROBLEM, CERTAINTY_CERTAIN,
             say(p, "APIs that Ferry needs are not enabled: %s.", join(p, o->needed, o->needed_count, ", ")));
    f->why = _(
        "Every call to them is refused. Enabling costs nothing, but needs an open billing account for some.");
    f->next = verbatim(p, "gcloud services enable %s --project=%s", join(p, o->needed, o->needed_count, " "),
                       subject(p, "project"));
    f->remedy = REMEDY_ENABLE_APIS;
    for (int i = 0; i < o->needed_count; i++)
        remedy_item(f, o->needed[i]);
}

static void judge_optional(const struct patient *p, const struct off *o)
{
    for (int i = 0; i < o->optional_count; i++) {
        struct finding *f = find(p, "api-optional", SEVERITY_NOTE, CERTAINTY_CERTAIN,
                                 say(p, "%s is not enabled.", o->optional[i]));
        f->why = say(p, "Only this needs it: %s.", what_for(o->optional[i]));
        f->next =
            verbatim(p, "gcloud services enable %s --project=%s", o->optional[i], subject(p, "project"));
    }
}

void check_apis(struct patient *p)
{
    struct off off = {.needed_count = 0};
    struct answer a = answer_of(p, "apis");
    if (a.verdict == VERDICT_ABSENT)
        return;
    if (answer_good(p, "apis", &a))
        add_listed(p, at(a.body, "services"), &off);
    add_refusing(p, &off);
    if (off.needed_count)
        judge_needed(p, &off);
    else if (a.verdict == VERDICT_GOOD)
        fine(p, "apis-fine", _("The APIs that Ferry needs are enabled."));
    judge_optional(p, &off);
}
