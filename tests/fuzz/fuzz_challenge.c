/* The headers of a 401. */
#include "target/registry/challenge.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct challenge c, found;
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = 0;
    challenge_parse(text, &c);
    challenge_find(text, &found);
    if ((c.scheme == CHALLENGE_BEARER && !c.realm[0]) || strlen(c.realm) >= sizeof c.realm ||
        strlen(c.service) >= sizeof c.service)
        abort();
    free(text);
    return 0;
}
