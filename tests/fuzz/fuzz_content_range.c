/* Any text as a Content-Range and as the Range of a 308: what is accepted is possible, and says the same when
 * it is written down again. */
#include "net/content_range.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void check_content_range(const char *text)
{
    uint64_t begin, size, total;
    char again[100], whole[24] = "*";
    if (!content_range_parse(text, &begin, &size, &total))
        return;
    if (size == 0 || begin + size < begin || begin + size > total)
        abort();
    if (total != UINT64_MAX)
        snprintf(whole, sizeof whole, "%llu", (unsigned long long)total);
    snprintf(again, sizeof again, "bytes %llu-%llu/%s", (unsigned long long)begin,
             (unsigned long long)(begin + size - 1), whole);
    /* leading zeros are the only other spelling */
    if (strlen(text) == strlen(again) ? strcasecmp(text, again) != 0 : strlen(text) < strlen(again))
        abort();
}

static void check_held(const char *text)
{
    uint64_t held;
    char again[100];
    if (!range_held_parse(text, &held))
        return;
    snprintf(again, sizeof again, "bytes=0-%llu", (unsigned long long)(held - 1));
    if (held == 0 || strlen(text) < strlen(again))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    text[size] = 0;
    check_content_range(text);
    check_held(text);
    free(text);
    return 0;
}
