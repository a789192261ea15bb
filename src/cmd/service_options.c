#include "cmd/service_options.h"

#include <string.h>

#define START_MODES "stream|gate"
#define LOG_LEVELS "debug|info|warning|error|off"

static const struct option rows[] = {
    {.name = "parallel",
     .type = OPTION_INT,
     .argument = "N",
     .env = "FERRY_PARALLEL",
     .preset = "4",
     .min = 1,
     .max = 256,
     .offset = offsetof(struct service_settings, parallel),
     .help = "answers generated at a time; more wait their turn"},
    {.name = "start",
     .type = OPTION_CHOICE,
     .argument = "MODE",
     .env = "FERRY_START",
     .preset = "stream",
     .choices = START_MODES,
     .offset = offsetof(struct service_settings, start),
     .help = "while the model loads: stream computes requests behind the weights as they come, gate refuses "
             "them (503) until all are there"},
    {.name = "api-key-file",
     .type = OPTION_TEXT,
     .argument = "FILE",
     .env = "FERRY_API_KEY_FILE",
     .offset = offsetof(struct service_settings, api_key_file),
     .help = "file with the key that clients must send as a bearer token"},
    {.name = "config",
     .type = OPTION_TEXT,
     .argument = "URI",
     .env = "FERRY_CONFIG",
     .offset = offsetof(struct service_settings, config),
     .help = "live configuration: gs://BUCKET/NAME or a file; see `ferry help config`"},
    {.name = "config-seconds",
     .type = OPTION_REAL,
     .argument = "S",
     .env = "FERRY_CONFIG_SECONDS",
     .preset = "2",
     .min = 0.01,
     .max = 3600,
     .offset = offsetof(struct service_settings, config_seconds),
     .help = "how often to look whether it has changed, while requests come"},
    {.name = "log",
     .type = OPTION_CHOICE,
     .argument = "LEVEL",
     .env = "FERRY_LOG",
     .preset = "info",
     .choices = LOG_LEVELS,
     .offset = offsetof(struct service_settings, log),
     .help = "what is worth a line in its log: debug, info, warning, error or off"},
    {.type = OPTION_TEXT,
     .env = "FERRY_API_KEY",
     .offset = offsetof(struct service_settings, api_key),
     .help = "the key that clients must send as a bearer token, itself"},
};

const struct option_group service_group = {"Service", rows, sizeof rows / sizeof *rows};

bool service_check_key(const struct service_settings *s, struct err *e)
{
    return !s->api_key_file || !s->api_key ||
           err_set(e, ERR_USAGE, "FERRY_API_KEY and an API key file are both given; unset one of them");
}

/* As a user would write the value; "": it has none. NULL: no memory. */
static const char *value_text(const struct option *o, const void *settings, struct arena *a)
{
    const void *field = (const char *)settings + o->offset;
    char choice[32];
    double number;
    switch (o->type) {
    case OPTION_INT:
        number = *(const int *)field;
        return number < o->min || number == 0 ? "" : arena_printf(a, "%.0f", number);
    case OPTION_REAL:
        number = *(const double *)field;
        return number < o->min ? "" : arena_printf(a, "%.10g", number);
    case OPTION_TEXT:
        return *(const char *const *)field ? *(const char *const *)field : "";
    case OPTION_CHOICE:
        return *(const int *)field >= 0 &&
                       option_choice(o->choices, *(const int *)field, choice, sizeof choice)
                   ? arena_printf(a, "%s", choice)
                   : "";
    case OPTION_FLAG:
    case OPTION_LIST:
        break; /* no variable says such a thing */
    }
    return "";
}

static bool add_group(const struct option_group *g, const void *settings, const char **out, size_t *n,
                      struct arena *a)
{
    for (const struct option *o = g->rows; o < g->rows + g->count; o++) {
        const char *value = o->env && o->name ? value_text(o, settings, a) : "";
        if (value && !*value)
            continue;
        if (!value || !(out[(*n)++] = arena_printf(a, "%s=%s", o->env, value)))
            return false;
    }
    return true;
}

const char *const *service_environment(const struct service_settings *s, struct arena *a)
{
    size_t n = 0;
    const char **out = arena_alloc(a, service_group.count + engine_group.count + 1, sizeof *out);
    return out && add_group(&service_group, s, out, &n, a) && add_group(&engine_group, s, out, &n, a) ? out
                                                                                                      : NULL;
}
