#include "store/place/level.h"

#include <string.h>

bool level_tell(struct level *l, const struct entry *entry, struct err *e)
{
    const char *slash = strchr(entry->name + strlen(l->prefix), '/');
    if (!slash)
        return l->fn(l->arg, entry, e);
    size_t n = (size_t)(slash - entry->name) + 1;
    if (strncmp(l->folder, entry->name, n) == 0 && !l->folder[n])
        return true;
    if (n >= sizeof l->folder)
        return err_set(e, ERR_LIMIT, "%.100s…: a name of more than %d bytes", entry->name, PATH_MAX - 1);
    memcpy(l->folder, entry->name, n);
    l->folder[n] = 0;
    const struct entry folder = {.name = l->folder, .updated = "", .folder = true};
    return l->fn(l->arg, &folder, e);
}
