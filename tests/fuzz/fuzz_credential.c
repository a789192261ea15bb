/* Credential files. What is refused is refused without a word of the file. */
#include "cloud/token.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = {0};
    if (!token_file_check((const char *)data, size, &e) &&
        (e.kind == ERR_NONE || !e.text[0] || strchr(e.text, '\n') || strstr(e.text, "SECRET")))
        abort();
    return 0;
}
