#include "cmd/api_key.h"

#include "base/file.h"

#include <string.h>

enum { MAX_BYTES = 4096 };

const char *api_key_read(const char *file, struct arena *a, struct err *e)
{
    size_t size;
    char *key = file_read(a, file, MAX_BYTES, &size, e);
    if (!key) {
        err_wrap(e, "API key file");
        return NULL;
    }
    key[strcspn(key, "\r\n")] = 0;
    if (*key)
        return key;
    err_set(e, ERR_USAGE, "API key file %s: its first line is empty, expected the key", file);
    return NULL;
}
