/* Docker's file of logins. */
#include "target/registry/login.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(16 << 20);
    const char *auth = NULL, *helper = NULL;
    struct err e = {0};
    if (!login_parse((const char *)data, size, "docker.io", a, &auth, &helper, &e)) {
        if (e.kind != ERR_CORRUPT || !e.text[0])
            abort();
    } else if (auth && !auth[0]) {
        abort();
    }
    arena_free(a);
    return 0;
}
