/* What `ferry plan --measure` has written, or somebody else. */
#include "cmd/plan_measure.h"

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
    static struct measurements m;
    struct err e = {0};
    if (!measurements_parse(&m, (const char *)data, size, &e)) {
        check(e.kind == ERR_CORRUPT && e.text[0]);
        return 0;
    }
    check(m.count >= 0 && m.count <= MEASUREMENTS_MOST);
    for (int i = 0; i < m.count; i++) {
        const struct measurement *one = &m.items[i];
        check(one->per_second >= 1 && one->cores >= 1);
        for (const char *s = one->from; *s; s++)
            check((unsigned char)*s >= 0x20 && *s != 0x7f);
        check(measurements_find(&m, one->what, one->where, one->from) != NULL);
    }
    return 0;
}
