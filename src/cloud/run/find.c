/* find.c: services and jobs of all regions, and the regions themselves (v1, which alone lists them at once).
 */
#include "cloud/call/rest.h"
#include "cloud/run.h"

#include <string.h>

struct finding {
    run_found_fn fn;
    void *arg;
    const char *label, *value; /* v1 lists jobs without looking at labels */
};

/* A Knative object: {"metadata":{"name","labels":{"cloud.googleapis.com/location":…}}}. */
static bool take(void *arg, const json_t *item, struct err *e)
{
    const struct finding *f = arg;
    const json_t *metadata = json_object_get(item, "metadata"), *labels = json_object_get(metadata, "labels");
    const char *value = json_string_value(json_object_get(labels, f->label));
    struct run_found found = {.name = json_string_value(json_object_get(metadata, "name")),
                              .region =
                                  json_string_value(json_object_get(labels, "cloud.googleapis.com/location")),
                              .labels = labels};
    if (!found.name || !found.region)
        return err_set(e, ERR_CORRUPT, "an answer that does not say a service's name and region");
    return !value || strcmp(value, f->value) != 0 || f->fn(f->arg, &found, e);
}

/* "managed-by=ferry" taken apart. */
static bool split(const char *label, char name[100], struct finding *f, struct err *e)
{
    const char *value = strchr(label, '=');
    if (!value || value - label >= 100)
        return err_set(e, ERR_USAGE, "\"%.100s\": expected a label as name=value", label);
    *(char *)mempcpy(name, label, (size_t)(value - label)) = 0;
    f->label = name;
    f->value = value + 1;
    return true;
}

bool service_find(struct cloud *c, const char *project, const char *label, run_found_fn fn, void *arg,
                  struct err *e)
{
    char name[100];
    struct finding f = {.fn = fn, .arg = arg};
    struct rest q = {.api = "run",
                     .method = "GET",
                     .path = "/v1/projects/{}/locations/-/services?labelSelector={}",
                     .names = {project, label}};
    return split(label, name, &f, e) &&
           (rest_each(c, &q, "items", take, &f, e) || err_wrap(e, "services of %s", project));
}

bool job_find(struct cloud *c, const char *project, const char *label, run_found_fn fn, void *arg,
              struct err *e)
{
    char name[100];
    struct finding f = {.fn = fn, .arg = arg};
    struct rest q = {.api = "run",
                     .method = "GET",
                     .path = "/apis/run.googleapis.com/v1/namespaces/{}/jobs?labelSelector={}",
                     .names = {project, label}};
    return split(label, name, &f, e) &&
           (rest_each(c, &q, "items", take, &f, e) || err_wrap(e, "jobs of %s", project));
}

struct regions {
    run_region_fn fn;
    void *arg;
};

static bool take_region(void *arg, const json_t *item, struct err *e)
{
    const struct regions *r = arg;
    const char *name = json_string_value(json_object_get(item, "locationId"));
    return !name || r->fn(r->arg, name, e);
}

bool run_regions(struct cloud *c, const char *project, run_region_fn fn, void *arg, struct err *e)
{
    struct regions r = {fn, arg};
    struct rest q = {
        .api = "run", .method = "GET", .path = "/v1/projects/{}/locations?pageSize=100", .names = {project}};
    return rest_each(c, &q, "locations", take_region, &r, e) || err_wrap(e, "regions of Cloud Run");
}
