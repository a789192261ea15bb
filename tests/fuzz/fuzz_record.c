/* Records of any shape through the doctor: answers come from outside. */
#include "doctor/judge.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct prices *prices;
    struct err e;
    json_t *record = json_loadb((const char *)data, size, 0, NULL);
    struct findings *f = calloc(1, sizeof *f);
    if (!prices)
        prices = prices_builtin(&e);
    if (f && record && prices && (f->arena = arena_new(8 << 20)))
        doctor_judge(record, prices, f);
    if (f)
        arena_free(f->arena);
    free(f);
    json_decref(record);
    return 0;
}
