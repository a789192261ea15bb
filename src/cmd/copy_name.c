#include "cmd/copy_name.h"

#include <string.h>

static const char *slash_after(const char *text)
{
    size_t n = strlen(text);
    return n == 0 || text[n - 1] == '/' ? "" : "/";
}

char *copy_name(struct arena *a, const struct copy_target *t, const struct copied *c)
{
    const char *base = t->folder ? c->base : "";
    char *top = arena_printf(a, "%s%s%s", t->path, *base ? slash_after(t->path) : "", base);
    if (!top || !*c->below)
        return top;
    return arena_printf(a, "%s%s%s", top, slash_after(top), c->below);
}

char *last_name(struct arena *a, const char *path)
{
    size_t end = strlen(path), begin;
    while (end > 0 && path[end - 1] == '/')
        end--;
    for (begin = end; begin > 0 && path[begin - 1] != '/'; begin--)
        ;
    size_t length = end - begin;
    bool dots = length && length <= 2 && strspn(path + begin, ".") >= length;
    return arena_strndup(a, path + begin, dots ? 0 : length);
}
