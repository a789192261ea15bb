/* The name of an image, as a user types it. What is taken makes a sound address. */
#include "net/url.h"
#include "target/reference.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(1 << 20);
    char *text = a ? arena_strndup(a, (const char *)data, size) : NULL, origin[URL_ORIGIN_BYTES];
    struct reference r;
    struct err e = {0};
    if (text && !reference_parse(&r, text, a, &e)) {
        check(e.kind == ERR_USAGE && e.text[0]);
    } else if (text) {
        check(reference_is_repository(r.repository) && !strstr(r.repository, "..") &&
              !strpbrk(r.tag, "/:? \n"));
        check(url_origin(r.endpoint, origin, sizeof origin) && strcmp(origin, r.endpoint) == 0);
        check(strncmp(origin, "https://", 8) == 0 || reference_is_loopback(origin + 7));
    }
    arena_free(a);
    return 0;
}
