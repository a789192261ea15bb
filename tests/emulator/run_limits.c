/* run_limits.c: what Cloud Run takes and what it refuses (its documentation, as of 2026-10; texts as people
 * have quoted them in public). */
#include "run.h"
#include "secrets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const regions[] = {"africa-south1",
                                      "asia-east1",
                                      "asia-east2",
                                      "asia-northeast1",
                                      "asia-northeast2",
                                      "asia-northeast3",
                                      "asia-south1",
                                      "asia-south2",
                                      "asia-southeast1",
                                      "asia-southeast2",
                                      "australia-southeast1",
                                      "europe-north1",
                                      "europe-southwest1",
                                      "europe-west1",
                                      "europe-west2",
                                      "europe-west3",
                                      "europe-west4",
                                      "europe-west6",
                                      "europe-west8",
                                      "europe-west9",
                                      "northamerica-northeast1",
                                      "northamerica-northeast2",
                                      "southamerica-east1",
                                      "us-central1",
                                      "us-east1",
                                      "us-east4",
                                      "us-south1",
                                      "us-west1",
                                      "us-west2",
                                      "us-west4"};
static const char *const gpu_regions[] = {"asia-southeast1", "europe-west1", "europe-west4", "us-central1",
                                          "us-east4"};

bool run_is_region(const char *name)
{
    for (size_t i = 0; i < sizeof regions / sizeof *regions; i++)
        if (!strcmp(regions[i], name))
            return true;
    return false;
}

static bool run_has_gpu(const char *region)
{
    for (size_t i = 0; i < sizeof gpu_regions / sizeof *gpu_regions; i++)
        if (!strcmp(gpu_regions[i], region))
            return true;
    return false;
}

void run_locations(struct exchange *x)
{
    json_t *all = json_array();
    for (size_t i = 0; i < sizeof regions / sizeof *regions; i++)
        json_array_append_new(
            all, json_pack("{s:s,s:s}", "name",
                           arena_printf(x->arena, "projects/" GOOGLE_PROJECT "/locations/%s", regions[i]),
                           "locationId", regions[i]));
    answer_json(x, 200, json_pack("{s:o}", "locations", all));
}

/* "32Gi", "512Mi": mebibytes; -1: not of that form. */
static long mebibytes(const char *text)
{
    char *end;
    long n = strtol(text, &end, 10);
    if (end == text || n <= 0)
        return -1;
    return !strcmp(end, "Gi") ? n * 1024 : !strcmp(end, "Mi") ? n : -1;
}

/* run/docs/configuring/memory-limits: what each number of vCPUs may have. */
static const struct {
    const char *cpu;
    long least, most;
} shapes[] = {{"1", 128, 4096},   {"2", 128, 8192},     {"4", 2048, 16384},  {"6", 4096, 24576},
              {"8", 4096, 32768}, {"20", 81920, 81920}, {"22", 90112, 90112}};

static const char *limits_problem(struct exchange *x, const json_t *limits)
{
    const char *cpu = text_at(limits, "cpu"), *memory = text_at(limits, "memory");
    long mib = mebibytes(memory);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        if (strcmp(shapes[i].cpu, cpu) != 0)
            continue;
        if (mib >= shapes[i].least && mib <= shapes[i].most)
            return NULL;
        return arena_printf(
            x->arena,
            "template.containers[0].resources.limits.memory: Invalid value specified for container "
            "memory. For %s CPU, memory must be between %ldMi and %ldMi inclusive.",
            cpu, shapes[i].least, shapes[i].most);
    }
    return arena_printf(
        x->arena,
        "template.containers[0].resources.limits.cpu: Invalid value specified for cpu. For the "
        "specified value, maxScale may not exceed 100. (cpu: \"%s\")",
        cpu);
}

static const char *gpu_problem(struct exchange *x, const json_t *template, const json_t *resources,
                               const char *region)
{
    const char *type = text_at(json_object_get(template, "nodeSelector"), "accelerator");
    const json_t *limits = json_object_get(resources, "limits");
    bool wanted = *text_at(limits, "nvidia.com/gpu") || *type;
    if (!wanted)
        return NULL;
    if (!run_has_gpu(region))
        return arena_printf(x->arena, "template.node_selector.accelerator: GPU is not supported in region %s",
                            region);
    if (!*type || !*text_at(limits, "nvidia.com/gpu"))
        return "template.node_selector: a GPU needs both an accelerator and the limit nvidia.com/gpu.";
    if (json_is_true(json_object_get(resources, "cpuIdle")))
        return "template.containers[0].resources.cpu_idle: GPU requires CPU to be always allocated.";
    if (atoi(text_at(limits, "cpu")) < 4 || mebibytes(text_at(limits, "memory")) < 16384)
        return "template.containers[0].resources.limits: with a GPU at least 4 CPU and 16Gi of memory are "
               "needed.";
    return NULL;
}

static json_int_t number_or(const json_t *object, const char *key, json_int_t otherwise)
{
    const json_t *n = json_object_get(object, key);
    return n ? json_integer_value(n) : otherwise;
}

static const char *probe_problem(const json_t *probe)
{
    json_int_t period = number_or(probe, "periodSeconds", 10),
               timeout = number_or(probe, "timeoutSeconds", 1);
    json_int_t failures = number_or(probe, "failureThreshold", 3),
               delay = number_or(probe, "initialDelaySeconds", 0);
    if (!probe)
        return NULL;
    if (delay < 0 || delay > 240)
        return "startup_probe.initial_delay_seconds: must be between 0 and 240.";
    if (period < 1 || period > 240 || timeout < 1 || timeout > period || failures < 1)
        return "startup_probe: period_seconds must be between 1 and 240, not less than timeout_seconds, "
               "failure_threshold at least 1.";
    if (period * failures > 240)
        return "startup_probe: failure_threshold * period_seconds cannot exceed 240 seconds.";
    return NULL;
}

static const char *env_problem(struct exchange *x, const json_t *env)
{
    static const char *const reserved[] = {"PORT", "K_SERVICE", "K_REVISION", "K_CONFIGURATION"};
    size_t i;
    json_t *one;
    json_array_foreach(env, i, one)
    {
        for (size_t k = 0; k < sizeof reserved / sizeof *reserved; k++)
            if (!strcmp(text_at(one, "name"), reserved[k]))
                return arena_printf(x->arena,
                                    "The following reserved env names were provided: %s. These values are "
                                    "automatically set by the system.",
                                    reserved[k]);
        for (size_t k = 0; k < i; k++)
            if (!strcmp(text_at(one, "name"), text_at(json_array_get(env, k), "name")))
                return arena_printf(x->arena, "template.containers[0].env: %s is given twice.",
                                    text_at(one, "name"));
    }
    return NULL;
}

const char *template_problem(struct exchange *x, const json_t *template, const char *region)
{
    const json_t *container = json_array_get(json_object_get(template, "containers"), 0);
    const json_t *resources = json_object_get(container, "resources");
    const char *timeout = text_at(template, "timeout"), *problem;
    json_int_t concurrency = number_or(template, "maxInstanceRequestConcurrency", 0);
    if (!*text_at(container, "image"))
        return "template.containers[0].image: must be specified.";
    if (*timeout && (atoi(timeout) < 1 || atoi(timeout) > 3600 || !strchr(timeout, 's')))
        return "template.timeout: must be between 1 and 3600 seconds.";
    if (concurrency < 0 || concurrency > 1000)
        return "template.max_instance_request_concurrency: must be between 1 and 1000.";
    if (json_object_get(resources, "limits") &&
        (problem = limits_problem(x, json_object_get(resources, "limits"))))
        return problem;
    if ((problem = gpu_problem(x, template, resources, region)))
        return problem;
    if ((problem = probe_problem(json_object_get(container, "startupProbe"))))
        return problem;
    return env_problem(x, json_object_get(container, "env"));
}

/* ---- what only deploying finds out ---- */

static json_t *failure(struct exchange *x, const char *revision, const char *why)
{
    return json_pack(
        "{s:i,s:s}", "code", 9, "message",
        arena_printf(x->arena, "Revision '%s' is not ready and cannot serve traffic. %s", revision, why));
}

/* An image of our own registry must be there; others are taken to exist. */
static bool image_is_there_locked(struct exchange *x, const char *image)
{
    const char *path = strstr(image, "-docker.pkg.dev/");
    if (!path)
        return true;
    path += strlen("-docker.pkg.dev/");
    const char *digest = strchr(path, '@'), *tag = strrchr(path, ':');
    const char *name = arena_strndup(x->arena, path, digest ? (size_t)(digest - path) : strcspn(path, ":"));
    const char *which = digest ? digest + 1 : tag ? tag + 1 : "latest";
    return doc_find_locked(x->service->world, arena_printf(x->arena, "manifest/%s@%s", name, which)) != NULL;
}

static const char *env_failure_locked(struct exchange *x, const json_t *template, const json_t *env)
{
    const char *account = text_at(template, "serviceAccount"), *problem;
    json_t *one;
    size_t i;
    json_array_foreach(env, i, one)
    {
        const json_t *selector = json_object_get(json_object_get(one, "valueSource"), "secretKeyRef");
        if (selector && (problem = secret_problem_locked(x, selector, account)))
            return problem;
    }
    return NULL;
}

json_t *template_failure_locked(struct exchange *x, const json_t *template, const char *revision)
{
    const json_t *container = json_array_get(json_object_get(template, "containers"), 0);
    const char *image = text_at(container, "image");
    const char *problem = env_failure_locked(x, template, json_object_get(container, "env"));
    if (problem)
        return failure(x, revision, problem);
    if (image_is_there_locked(x, image))
        return NULL;
    return failure(x, revision, arena_printf(x->arena, "Image '%s' not found.", image));
}
