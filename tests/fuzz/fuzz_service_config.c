/* Any bytes as a live configuration: refused with a line, or values that the engine takes. */
#include "engine/stop.h"
#include "serve/service_config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct service_config *c, struct arena *a)
{
    static const struct model_config model = {
        .generation = {.do_sample = true, .temperature = 1, .top_p = 1, .repetition_penalty = 1}};
    struct chat_request r;
    struct service_config again;
    struct err e = {0};
    chat_request_init(&r, &model);
    service_config_apply(c, &r);
    struct sampler *sampler = sampler_new(&r.sampling, 10, NULL, 0, &e);
    struct stop_matcher *stop = stop_new(r.stops, r.stop_count, &e);
    if (!sampler || !stop || r.max_tokens < 0)
        abort();
    sampler_free(sampler);
    stop_free(stop);
    /* what is told of it is itself such an object, and the same one */
    if (!service_config_parse(&again, c->json, strlen(c->json), a, &e) || strcmp(again.json, c->json) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(2 * SERVICE_CONFIG_ARENA);
    struct service_config c;
    struct err e = {0};
    if (!a)
        abort();
    if (service_config_parse(&c, (const char *)data, size, a, &e))
        check(&c, a);
    else if (e.kind == ERR_NONE || !*e.text || strchr(e.text, '\n'))
        abort();
    arena_free(a);
    return 0;
}
