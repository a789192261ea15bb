/* Any text as a service's page of metrics: each value is finite or unknown. */
#include "cmd/service_metrics.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct service_metrics m;
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    text[size] = 0;
    service_metrics_parse(text, &m);
    const double *values = (const double *)&m;
    for (size_t i = 0; i < sizeof m / sizeof *values; i++)
        if (isinf(values[i]))
            abort();
    free(text);
    return 0;
}
