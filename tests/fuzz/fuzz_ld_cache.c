/* The loader's table of libraries. What is found in it ends inside it. */
#include "target/elf/ld_cache.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ld_cache c;
    struct err e = {0};
    uint32_t from = 0, before = 0;
    if (!ld_cache_open(&c, data, size, &e))
        return e.kind == ERR_CORRUPT ? 0 : (abort(), 0);
    for (const char *path; (path = ld_cache_find(&c, "libc.so.6", &from)); before = from) {
        if (from <= before || (const uint8_t *)path + strlen(path) >= data + size)
            abort();
    }
    return 0;
}
