/* engine_options.h: how the engine computes, as options that `serve` and `ask` share, and what a folder needs
 * to become an engine. */
#ifndef FERRY_CMD_ENGINE_OPTIONS_H
#define FERRY_CMD_ENGINE_OPTIONS_H

#include "cmd/option.h"
#include "serve/loaded_model.h"

/* The first member of the settings of a command that uses engine_group. */
struct engine_settings {
    int context; /* tokens per sequence; 0: the model's own maximum */
    int threads; /* 0: one per core allowed */
    int math;    /* enum math_mode */
    int kv;      /* enum kv_type */
    int cpu;     /* of "ref|avx2|avx512"; -1: the best there is */
};

/* What the fields hold when nobody says anything. */
#define ENGINE_SETTINGS_UNSET                                                                                \
    {                                                                                                        \
        .cpu = -1                                                                                            \
    }

extern const struct option_group engine_group;

/* For engine_new; cpu: room for the name of the kernel table. parallel: sequences at a time. */
enum { ENGINE_CPU_NAME = 16 };
struct engine_options engine_options_of(const struct engine_settings *s, int parallel,
                                        char cpu[ENGINE_CPU_NAME]);

/* Opens a model folder of this machine with these settings. False with *e set and nothing left open. */
bool engine_load(struct loaded_model *m, const char *folder, const struct engine_settings *s, int parallel,
                 struct err *e);

/* "fast" or "exact". */
const char *engine_math_name(const struct engine_settings *s);

/* Threads that will compute. */
int engine_threads(const struct engine_settings *s);

#endif
