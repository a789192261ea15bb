/* service_options.h: what a service can be told, wherever it runs: the options that `serve` and `deploy`
 * share, and the same as the variables of a container (docs/design.md, "The service"). */
#ifndef FERRY_CMD_SERVICE_OPTIONS_H
#define FERRY_CMD_SERVICE_OPTIONS_H

#include "base/arena.h"
#include "cmd/engine_options.h"
#include "cmd/option.h"

enum start_mode { START_STREAM, START_GATE }; /* order of --start */

/* The first member of the settings of a command that uses service_group and engine_group. */
struct service_settings {
    struct engine_settings engine; /* first: engine_group's offsets count from here */
    const char *api_key, *api_key_file, *config;
    double config_seconds;
    int parallel, log, start; /* start: enum start_mode */
};

#define SERVICE_SETTINGS_UNSET                                                                               \
    {                                                                                                        \
        .engine = ENGINE_SETTINGS_UNSET                                                                      \
    }

extern const struct option_group service_group;

/* FERRY_API_KEY and a file with the key are not both given. */
bool service_check_key(const struct service_settings *s, struct err *e);

/* "FERRY_PARALLEL=4", …, ended by NULL, in the arena: each row of both groups that has a variable and a
 * value, but for FERRY_API_KEY itself. NULL: no memory. */
const char *const *service_environment(const struct service_settings *s, struct arena *a);

#endif
