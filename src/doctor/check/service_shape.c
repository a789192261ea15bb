#include "doctor/check/service_shape.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_MAX_INSTANCES = 100 }; /* run/docs/about-max-instances */

double quantity_gib(const char *text)
{
    static const struct {
        const char *suffix;
        double gib;
    } units[] = {{"Gi", 1},
                 {"Mi", 1.0 / 1024},
                 {"Ki", 1.0 / 1048576},
                 {"G", 1e9 / 1073741824},
                 {"M", 1e6 / 1073741824},
                 {"", 1.0 / 1073741824}};
    char *end;
    double n = strtod(text, &end);
    for (size_t i = 0; end != text && i < sizeof units / sizeof *units; i++)
        if (strcmp(end, units[i].suffix) == 0)
            return n * units[i].gib;
    return 0;
}

double quantity_vcpu(const char *text)
{
    char *end;
    double n = strtod(text, &end);
    return strcmp(end, "m") == 0 ? n / 1000 : *end || end == text ? 0 : n;
}

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
    const json_t *container = item_at(at(service, "template.containers"), 0),
                 *limits = at(container, "resources.limits");
    int most = scaling(service, "maxInstanceCount");
    if (!service)
        return (struct service_shape){0};
    return (struct service_shape){.vcpu = quantity_vcpu(text_at(limits, "cpu")),
                                  .memory_gib = quantity_gib(text_at(limits, "memory")),
                                  .min_instances = scaling(service, "minInstanceCount"),
                                  .max_instances = most ? most : DEFAULT_MAX_INSTANCES,
                                  .always_on = !true_at(container, "resources.cpuIdle"),
                                  .probe_seconds = probe_seconds(at(container, "startupProbe"))};
}

double service_idle_usd(const struct patient *p, const struct service_shape *s, int instances)
{
    struct run_rates rates = prices_run(p->prices, prices_tier(p->prices, subject(p, "region")));
    struct run_rate rate = s->always_on ? rates.instance : rates.idle;
    return instances * 730 * 3600 * (s->vcpu * rate.cpu + s->memory_gib * rate.memory);
}
