/* What a service, or what stands in its place, says at /v1/load. */
#include "cmd/service_load.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct service_load l;
    struct err e = {0};
    if (!service_load_parse((const char *)data, size, &l, &e)) {
        check(e.kind == ERR_CORRUPT && e.text[0]);
        return 0;
    }
    check(l.state >= SERVICE_STARTING && l.state <= SERVICE_LOAD_FAILED);
    check(l.bytes >= 0 && l.bytes <= l.total && l.elapsed_ms >= 0);
    check(l.text_bytes >= 0 && l.text_bytes <= l.text_total);
    check(isnan(l.layer_ms) || l.layer_ms >= 0);
    check(isnan(l.first_token_ms) || l.first_token_ms >= 0);
    return 0;
}
