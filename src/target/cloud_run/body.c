#include "target/cloud_run/body.h"

#include "cloud/label.h"

#include <stdio.h>
#include <string.h>

enum { PORT = 8080, QUANTITY = 24 };

const char *body_last(const char *name)
{
    const char *slash = strrchr(name, '/');
    return slash ? slash + 1 : name;
}

/* --- what is sent --- */

static json_t *variable(const char *name, size_t size, const char *value)
{
    return json_pack("{s:s%, s:s}", "name", name, size, "value", value);
}

static json_t *variables(const struct target_spec *s)
{
    json_t *all = json_pack("[o]", variable("FERRY_MODEL", strlen("FERRY_MODEL"), s->model));
    for (const char *const *v = s->environment; all && *v; v++) {
        const char *equals = strchr(*v, '=');
        json_array_append_new(all, variable(*v, (size_t)(equals - *v), equals + 1));
    }
    return all;
}

/* The key itself is nowhere in the service: whoever may look at it sees where it lies. */
static json_t *variables_and_key(const struct target_spec *s, const struct body_key *key)
{
    json_t *all = variables(s);
    if (all && key->secret)
        json_array_append_new(all,
                              json_pack("{s:s, s:{s:{s:s, s:s}}}", "name", "FERRY_API_KEY", "valueSource",
                                        "secretKeyRef", "secret", key->secret, "version", key->version));
    return all;
}

/* cpuIdle is always said: left out beside limits it means CPU that is always paid. */
static json_t *resources(const struct cloud_run_options *o)
{
    char cpu[QUANTITY], memory[QUANTITY];
    snprintf(cpu, sizeof cpu, "%d", o->vcpu);
    snprintf(memory, sizeof memory, "%dGi", o->memory_gib);
    return json_pack("{s:{s:s, s:s}, s:b, s:b}", "limits", "cpu", cpu, "memory", memory, "cpuIdle",
                     o->cpu_idle, "startupCpuBoost", 1);
}

static json_t *probe(const struct cloud_run_options *o)
{
    return json_pack("{s:{s:s, s:i}, s:i, s:i, s:i, s:i}", "httpGet", "path", o->probe.path, "port", PORT,
                     "initialDelaySeconds", o->probe.initial_delay_seconds, "periodSeconds",
                     o->probe.period_seconds, "failureThreshold", o->probe.failure_threshold,
                     "timeoutSeconds", o->probe.timeout_seconds);
}

static json_t *scaling(const struct cloud_run_options *o)
{
    json_t *s = json_pack("{s:i}", "minInstanceCount", o->min_instances);
    if (s && o->max_instances)
        json_object_set_new(s, "maxInstanceCount", json_integer(o->max_instances));
    return s;
}

static json_t *template_of(const struct target_spec *s, const char *image, const char *account,
                           const struct body_key *key)
{
    const struct cloud_run_options *o = s->cloud_run;
    char timeout[QUANTITY];
    snprintf(timeout, sizeof timeout, "%ds", o->timeout_seconds);
    return json_pack("{s:s, s:s, s:s, s:i, s:o, s:[{s:s, s:[{s:i}], s:o, s:o, s:o}]}", "executionEnvironment",
                     "EXECUTION_ENVIRONMENT_GEN2", "serviceAccount", account, "timeout", timeout,
                     "maxInstanceRequestConcurrency", o->concurrency, "scaling", scaling(o), "containers",
                     "image", image, "ports", "containerPort", PORT, "env", variables_and_key(s, key),
                     "resources", resources(o), "startupProbe", probe(o));
}

json_t *body_traffic_latest(void)
{
    return json_pack("[{s:s, s:i}]", "type", "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent", 100);
}

json_t *body_traffic_to(const char *revision)
{
    return json_pack("[{s:s, s:s, s:i}]", "type", "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision",
                     revision, "percent", 100);
}

json_t *body_make(const struct target_spec *s, const char *image, const char *account,
                  const struct body_key *key)
{
    return json_pack("{s:{s:s}, s:s, s:o, s:o}", "labels", LABEL_NAME, LABEL_OWNER, "ingress",
                     "INGRESS_TRAFFIC_ALL", "template", template_of(s, image, account, key), "traffic",
                     body_traffic_latest());
}

/* --- how far it is --- */

/* Zero and false are left out of answers (proto3). */
static bool is_nothing(const json_t *v)
{
    return json_is_false(v) || (json_is_integer(v) && json_integer_value(v) == 0);
}

static bool is_within(const json_t *wanted, const json_t *is);

static bool members_within(const json_t *wanted, const json_t *is)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)wanted, key, value)
    {
        const json_t *there = json_object_get(is, key);
        if (there ? !is_within(value, there) : !is_nothing(value))
            return false;
    }
    return true;
}

static bool is_within(const json_t *wanted, const json_t *is)
{
    if (json_is_object(wanted) && json_is_object(is))
        return members_within(wanted, is);
    if (!json_is_array(wanted) || json_array_size(wanted) != json_array_size(is))
        return json_equal(wanted, is);
    for (size_t i = 0; i < json_array_size(wanted); i++)
        if (!is_within(json_array_get(wanted, i), json_array_get(is, i)))
            return false;
    return true;
}

char *body_mask(const json_t *wanted, const json_t *is, struct arena *a)
{
    char *mask = arena_printf(a, "%s", "");
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)wanted, key, value)
    {
        const json_t *there = json_object_get(is, key);
        if (mask && !(there && is_within(value, there)))
            mask = arena_printf(a, "%s%s%s", mask, *mask ? "," : "", key);
    }
    return mask;
}

/* --- what is there --- */

const char *body_serving(const json_t *service)
{
    const json_t *statuses = json_object_get(service, "trafficStatuses");
    const json_t *first = json_array_get(statuses, 0);
    const char *revision = json_string_value(json_object_get(first, "revision"));
    if (json_integer_value(json_object_get(first, "percent")) != 100 || !revision || !*revision)
        return NULL;
    return body_last(revision);
}

static const json_t *find_variable(const json_t *service, const char *name)
{
    const json_t *containers = json_object_get(json_object_get(service, "template"), "containers");
    const json_t *env = json_object_get(json_array_get(containers, 0), "env");
    for (size_t i = 0; i < json_array_size(env); i++) {
        const json_t *one = json_array_get(env, i);
        const char *is = json_string_value(json_object_get(one, "name"));
        if (is && strcmp(is, name) == 0)
            return one;
    }
    return NULL;
}

const char *body_variable(const json_t *service, const char *name)
{
    return json_string_value(json_object_get(find_variable(service, name), "value"));
}

const json_t *body_secret(const json_t *service, const char *name)
{
    const json_t *source = json_object_get(find_variable(service, name), "valueSource");
    return json_object_get(source, "secretKeyRef");
}
