#include "doctor/check/service_shape.h"

#include "cloud/run.h"

enum { DEFAULT_MAX_INSTANCES = 100 }; /* run/docs/about-max-instances */

/* The service's own scaling, else the revision's. */
static int scaling(const json_t *service, const char *name)
{
    double of_service = number_at(at(service, "scaling"), name);
    return (int)(of_service ? of_service : number_at(at(service, "template.scaling"), name));
}

/* A zero, or nothing, stands for the default of 3 failures 10 s apart; no probe for one try of 240 s. */
static double probe_seconds(const json_t *probe)
{
    double period = number_at(probe, "periodSeconds"), failures = number_at(probe, "failureThreshold");
    if (!probe)
        return 240;
    return number_at(probe, "initialDelaySeconds") + (period ? period : 10) * (failures ? failures : 3);
}

struct service_shape service_shape_of(const struct patient *p)
{
    const json_t *service = answer_of(p, "service").body;
    const json_t *container = item_at(at(service, "template.containers"), 0);
    struct run_limits limits = run_limits_of(container);
    int most = scaling(service, "maxInstanceCount");
    if (!service)
        return (struct service_shape){0};
    return (struct service_shape){.vcpu = limits.vcpu,
                                  .memory_gib = limits.gib,
                                  .min_instances = scaling(service, "minInstanceCount"),
                                  .max_instances = most ? most : DEFAULT_MAX_INSTANCES,
                                  .always_on = !true_at(container, "resources.cpuIdle"),
                                  .probe_seconds = probe_seconds(at(container, "startupProbe"))};
}
