/* Who may ask through `ferry proxy`: the first line is a Host header, the second, if any, an Origin. What is
 * let in has no name but those that are ours, and the origin of that very host. */
#include "cmd/proxy.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define OWN "own.example"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static bool is_own(const char *host)
{
    size_t n = strcspn(host, ":");
    return (n == strlen(OWN) && strncasecmp(host, OWN, n) == 0) ||
           (n == 9 && strncasecmp(host, "localhost", n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = {0};
    char *text = malloc(size + 1);
    check(text != NULL);
    memcpy(text, data, size);
    text[size] = 0;
    char *origin = strchr(text, '\n');
    if (origin)
        *origin++ = 0;
    if (proxy_check_sender(text, origin, OWN, &e)) {
        check(is_own(text) || text[strspn(text, "0123456789abcdefABCDEF.:[]")] == 0);
        check(!origin || (strlen(origin) == strlen(text) + 7 && strcasecmp(origin + 7, text) == 0));
    } else {
        check(e.kind == ERR_AUTH && e.text[0]);
    }
    free(text);
    return 0;
}
