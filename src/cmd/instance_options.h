/* instance_options.h: what an instance of a service in the cloud or on a cluster is given, as options, and
 * what a model needs where nothing is said. */
#ifndef FERRY_CMD_INSTANCE_OPTIONS_H
#define FERRY_CMD_INSTANCE_OPTIONS_H

#include "cmd/service_options.h"
#include "plan/cloud_run.h"

#include <stdint.h>

/* The first member of the settings of a command that uses instance_group, service_group and engine_group. */
struct instance_settings {
    struct service_settings service;
    const char *image, *service_account, *key_secret;
    int vcpu, min_instances, max_instances, timeout_seconds; /* 0: not said */
};
_Static_assert(offsetof(struct instance_settings, service) == 0, "service_group");

extern const struct option_group instance_group;

/* What the service needs, after `ferry plan`'s rules, for what is not said. Reads the headers of the model's
 * files unless both vcpu and memory_bytes (0: not said) are. False with *e set: nothing on Cloud Run is large
 * enough (then both can be said), no such model, no network. a: scratch. */
bool instance_plan(struct run_service *out, const struct instance_settings *s, const char *model,
                   uint64_t memory_bytes, struct arena *a, struct err *e);

/* Whether an instance as it was asked for holds so many bytes. shape: Cloud Run's for them (vcpu 0: none);
 * memory_bytes: asked for, 0: not said. False with *e saying what would help. */
bool instance_fits(const struct instance_settings *s, struct run_shape shape, uint64_t needed_bytes,
                   uint64_t memory_bytes, struct err *e);

#endif
