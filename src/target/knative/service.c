#include "target/knative/service.h"

#include <stdio.h>
#include <string.h>

enum { PORT = 8080, MIB = 1 << 20 };

/* Each of these takes over what it is given, NULL included, which then makes the whole NULL. */

static json_t *number(int n)
{
    return json_integer(n);
}

/* Annotations are texts, whatever they say. */
static bool annotate(json_t *to, const char *name, const char *value)
{
    return json_object_set_new(to, name, json_string(value)) == 0;
}

static bool annotate_count(json_t *to, const char *name, int n)
{
    char text[16];
    snprintf(text, sizeof text, "%d", n);
    return annotate(to, name, text);
}

static json_t *template_metadata(const struct knative_options *o)
{
    json_t *all = json_object();
    bool ok =
        annotate_count(all, "autoscaling.knative.dev/minScale", o->min_instances) &&
        (!o->max_instances || annotate_count(all, "autoscaling.knative.dev/maxScale", o->max_instances)) &&
        annotate(all, "run.googleapis.com/cpu-throttling", o->cpu_idle ? "true" : "false") &&
        annotate(all, "run.googleapis.com/startup-cpu-boost", "true") &&
        annotate(all, "run.googleapis.com/execution-environment", "gen2");
    if (!ok) {
        json_decref(all);
        return NULL;
    }
    return json_pack("{s:{s:s}, s:o}", "labels", "managed-by", "ferry", "annotations", all);
}

/* --- the container --- */

static bool add_variable(json_t *list, const char *name, size_t size, const char *value)
{
    return json_array_append_new(list, json_pack("{s:s%, s:s}", "name", name, size, "value", value)) == 0;
}

static bool add_key(json_t *list, const struct knative_options *o)
{
    return !o->secret || json_array_append_new(list, json_pack("{s:s, s:{s:{s:s, s:s}}}", "name",
                                                               "FERRY_API_KEY", "valueFrom", "secretKeyRef",
                                                               "name", o->secret, "key", o->secret_key)) == 0;
}

/* What ferry's image asks for in its environment; PORT is the platform's to set. */
static json_t *variables(const struct target_spec *s)
{
    json_t *list = json_array();
    bool ok = add_variable(list, "FERRY_MODEL", strlen("FERRY_MODEL"), s->model);
    for (const char *const *v = s->environment; ok && *v; v++) {
        size_t name = strcspn(*v, "=");
        ok = add_variable(list, *v, name, *v + name + 1);
    }
    if (ok && add_key(list, s->knative))
        return list;
    json_decref(list);
    return NULL;
}

static json_t *limits(const struct knative_options *o)
{
    char cpu[16], memory[32];
    uint64_t mib = o->memory_bytes / MIB + (o->memory_bytes % MIB != 0);
    snprintf(cpu, sizeof cpu, "%d", o->vcpu);
    snprintf(memory, sizeof memory, "%llu%s", (unsigned long long)(mib % 1024 ? mib : mib / 1024),
             mib % 1024 ? "Mi" : "Gi");
    return json_pack("{s:s, s:s}", "cpu", cpu, "memory", memory);
}

/* Whether the port answers, or, with --start gate, whether all weights are there. */
static json_t *probe(const struct knative_options *o)
{
    return json_pack("{s:{s:s, s:i}, s:o, s:o, s:o, s:o}", "httpGet", "path",
                     o->gate ? "/readyz" : "/healthz", "port", PORT, "initialDelaySeconds",
                     number(o->probe.delay_seconds), "periodSeconds", number(o->probe.period_seconds),
                     "timeoutSeconds", number(o->probe.timeout_seconds), "failureThreshold",
                     number(o->probe.failures));
}

static json_t *container(const struct target_spec *s)
{
    const struct knative_options *o = s->knative;
    return json_pack("{s:s, s:[{s:i}], s:o, s:{s:o}, s:o}", "image", o->image, "ports", "containerPort", PORT,
                     "env", variables(s), "resources", "limits", limits(o), "startupProbe", probe(o));
}

static json_t *revision(const struct target_spec *s)
{
    const struct knative_options *o = s->knative;
    json_t *spec = json_pack("{s:i, s:i, s:[o]}", "containerConcurrency", o->concurrency, "timeoutSeconds",
                             o->timeout_seconds, "containers", container(s));
    if (spec && o->service_account &&
        json_object_set_new(spec, "serviceAccountName", json_string(o->service_account)) != 0) {
        json_decref(spec);
        return NULL;
    }
    return spec;
}

json_t *knative_service(const struct target_spec *s, struct err *e)
{
    json_t *service =
        json_pack("{s:s, s:s, s:{s:s, s:{s:s}, s:{s:s}}, s:{s:{s:o, s:o}}}", "apiVersion",
                  "serving.knative.dev/v1", "kind", "Service", "metadata", "name", s->name, "labels",
                  "managed-by", "ferry", "annotations", "run.googleapis.com/ingress", "all", "spec",
                  "template", "metadata", template_metadata(s->knative), "spec", revision(s));
    if (!service)
        err_set(e, ERR_USAGE, "a manifest is UTF-8, and a name or URI in it is not");
    return service;
}
