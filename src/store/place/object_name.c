#include "store/place/object_name.h"

#include "base/catalog.h"
#include "base/utf8.h"

#include <string.h>

enum { MAX_BYTES = 1024 };

static bool is_utf8(const char *text)
{
    while (*text) {
        int n = utf8_length(text);
        if (n == 0)
            return false;
        text += n;
    }
    return true;
}

bool object_prefix_check(const char *bucket, const char *prefix, struct err *e)
{
    if (strlen(prefix) > MAX_BYTES)
        return err_set(e, ERR_USAGE, "gs://%s/%.40s…: %zu bytes, a name in Cloud Storage has at most %d",
                       bucket, prefix, strlen(prefix), MAX_BYTES);
    const char *fault = !is_utf8(prefix)          ? _("has to be UTF-8")
                        : strpbrk(prefix, "\r\n") ? _("has no line breaks")
                                                  : NULL;
    return !fault || err_set(e, ERR_USAGE, "gs://%s/%s: a name in Cloud Storage %s", bucket, prefix, fault);
}

bool object_name_check(const char *bucket, const char *name, struct err *e)
{
    if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return err_set(e, ERR_USAGE, "gs://%s/%s: Cloud Storage takes no object of this name", bucket, name);
    return object_prefix_check(bucket, name, e);
}

const char *object_content_type(const char *name)
{
    static const struct {
        const char *end, *type;
    } types[] = {
        {".json", "application/json"},
        {".txt", "text/plain; charset=utf-8"},
        {".md", "text/markdown; charset=utf-8"},
        {".html", "text/html; charset=utf-8"},
        {".wav", "audio/wav"},
        {".mp3", "audio/mpeg"},
        {".png", "image/png"},
    };
    size_t n = strlen(name);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        size_t k = strlen(types[i].end);
        if (n > k && strcmp(name + n - k, types[i].end) == 0)
            return types[i].type;
    }
    return "application/octet-stream";
}
