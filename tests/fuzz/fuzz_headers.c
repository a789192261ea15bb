/* Any lines as the headers of an answer, and their RateLimit as a wait. */
#include "net/parse/headers.h"
#include "net/parse/rate_limit.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM = 200 }; /* small, so that it fills */

/* Whole lines "name: value", names in lower case, nothing past the room. */
static void check_text(const char *text)
{
    if (strlen(text) >= ROOM)
        abort();
    while (*text) {
        const char *colon = strstr(text, ": "), *end = strchr(text, '\n');
        char name[ROOM], value[ROOM];
        if (!colon || !end || colon > end || colon == text)
            abort();
        memcpy(name, text, (size_t)(colon - text));
        name[colon - text] = 0;
        for (const char *c = name; *c; c++) {
            if (*c >= 'A' && *c <= 'Z')
                abort();
        }
        if (!headers_find(text, name, value, sizeof value))
            abort();
        text = end + 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = calloc(1, ROOM), limit[ROOM],
         cut[5]; /* its own block, so that a write past the end is seen */
    const char *bytes = (const char *)data;
    if (!text)
        return 0;
    while (size) {
        const char *end = memchr(bytes, '\n', size);
        size_t n = end ? (size_t)(end + 1 - bytes) : size;
        headers_add(text, ROOM, bytes, n);
        bytes += n, size -= n;
    }
    check_text(text);
    int seconds = rate_limit_seconds(headers_find(text, "ratelimit", limit, sizeof limit));
    if (seconds < 0 || seconds > 86400)
        abort();
    const char *short_one = headers_find(text, "etag", cut, sizeof cut);
    if (short_one && strlen(short_one) >= sizeof cut)
        abort();
    free(text);
    return 0;
}
