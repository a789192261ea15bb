/* gcloud's INI files. */
#include "cloud/gcloud_config.h"

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
    struct arena *a = arena_new(64 << 20);
    struct gcloud_config c = {.active = "default"};
    struct err e = {0};
    if (!gcloud_config_parse(&c, (const char *)data, size, a, &e))
        check(e.kind != ERR_NONE &&
              !strncmp(e.text, "line ", 5) == (e.kind == ERR_CORRUPT && !memchr(data, 0, size)));
    for (int i = 0; i < c.count; i++)
        check(c.properties[i].section[0] && c.properties[i].name[0] && !strchr(c.properties[i].value, '\n'));
    arena_free(a);
    return 0;
}
