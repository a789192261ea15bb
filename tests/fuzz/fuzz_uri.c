/* Any text is a URI that prints as one of the same meaning, or is refused with a message; matching ends. The
 * text is split at its first NUL: a URI (and pattern), and a name. */
#include "store/uri.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static void check_printed(const struct uri *u, struct arena *a)
{
    struct uri again;
    struct err e = {0};
    char *text = uri_join(a, u, "");
    if (!text)
        abort();
    if (!uri_parse(&again, text, a, &e)) {
        if (u->scheme == URI_LOCAL && strlen(text) > strlen(u->path))
            return; /* "./" in front made it too long */
        abort();
    }
    bool dot = u->scheme == URI_LOCAL && strncmp(text, "./", 2) == 0 && strncmp(u->path, "./", 2) != 0;
    if (again.scheme != u->scheme || !same(again.place, u->place) || !same(again.revision, u->revision) ||
        !same(again.path + (dot ? 2 : 0), u->path) || again.folder != u->folder)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 2);
    struct arena *a = arena_new(1 << 20);
    if (!text || !a)
        abort();
    if (size)
        memcpy(text, data, size);
    memset(text + size, 0, 2);
    const char *name = text + strlen(text) + 1;

    struct uri u;
    struct err e = {0};
    if (uri_parse(&u, text, a, &e))
        check_printed(&u, a);
    else if (e.kind != ERR_USAGE || !*e.text)
        abort();
    if (size < 3000 && strlen(text) < size) {
        wildcard_match(text, name);
        if (!wildcard_in(text) && wildcard_match(text, name) != (strcmp(text, name) == 0))
            abort();
    }
    struct err climbs = {0};
    if (!name_stays_below(text, &climbs) && climbs.kind != ERR_UNSUPPORTED)
        abort();
    arena_free(a);
    free(text);
    return 0;
}
