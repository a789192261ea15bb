/* limits.c: how much of a machine a container gets. */
#include "cloud/run.h"

#include <stdlib.h>
#include <string.h>

/* "32Gi", "512Mi", "2G". 0: not of that form. */
static double gib_of(const char *text)
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

/* "8", "1000m". 0: not of that form. */
static double vcpu_of(const char *text)
{
    char *end;
    double n = strtod(text, &end);
    return strcmp(end, "m") == 0 ? n / 1000 : *end || end == text ? 0 : n;
}

static const char *limit(const json_t *container, const char *name)
{
    const json_t *limits = json_object_get(json_object_get(container, "resources"), "limits");
    const char *text = json_string_value(json_object_get(limits, name));
    return text ? text : "";
}

struct run_limits run_limits_of(const json_t *container)
{
    return (struct run_limits){vcpu_of(limit(container, "cpu")), gib_of(limit(container, "memory"))};
}
