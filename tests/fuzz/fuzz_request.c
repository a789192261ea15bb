/* Any bytes as the body of a chat request: parsed into something within its ranges, or refused with a
 * message. */
#include "serve/request.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct chat_request *r)
{
    if (r->message_count < 1 || r->choices < 1 || r->choices > REQUEST_MAX_CHOICES ||
        r->stop_count > REQUEST_MAX_STOPS)
        abort();
    for (int i = 0; i < r->message_count; i++) {
        for (int k = 0; k < r->messages[i].part_count; k++) {
            const struct request_part *p = &r->messages[i].parts[k];
            if (!p->text == !p->audio)
                abort();
            if (p->text && p->text[p->text_size] != '\0')
                abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct model_config config = {
        .generation = {.temperature = 1, .top_p = 1, .repetition_penalty = 1}};
    static const struct request_rules rules = {.model = "m", .vocab = 1000, .audio = true};
    struct arena *a = arena_new(2 * size + 4096);
    struct chat_request r;
    struct api_error e = {0};
    if (!a)
        abort();
    chat_request_init(&r, &config);
    if (chat_request_parse(&r, a, &rules, (const char *)data, size, &e))
        check(&r);
    else if (e.err.kind == ERR_NONE || !*e.err.text || api_error_status(&e) < 400)
        abort();
    arena_free(a);
    return 0;
}
