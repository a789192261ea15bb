/* What a VM writes to its serial port: cut anywhere it tells the same. */
#include "target/stage_vm.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct stage_vm_port whole = {.size = 0}, cut = {.size = 0};
    struct stage_vm_progress a = {.bytes_total = 0}, b = {.bytes_total = 0};
    size_t at = size ? data[0] % size : 0;
    bool told = stage_vm_hear(&whole, text, size, &a);
    bool first = stage_vm_hear(&cut, text, at, &b), second = stage_vm_hear(&cut, text + at, size - at, &b);
    bool same = a.bytes_done == b.bytes_done && a.bytes_total == b.bytes_total &&
                a.bytes_per_second == b.bytes_per_second;
    if (told != (first || second) || !same || told != (a.bytes_total > 0))
        abort();
    return 0;
}
