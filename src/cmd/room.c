#include "cmd/room.h"

#include "base/catalog.h"
#include "cmd/human.h"
#include "model/memory_room.h"

#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

/* Cuts the last part of the path. False: there is none left. */
static bool go_up(char *path)
{
    char *slash = strrchr(path, '/');
    if (strcmp(path, "/") == 0 || strcmp(path, ".") == 0)
        return false;
    if (!slash)
        strcpy(path, ".");
    else
        slash[slash == path] = 0; /* the root keeps its slash */
    return true;
}

static bool look_at(const char *path, struct room *out)
{
    struct statvfs v;
    struct statfs f;
    if (statvfs(path, &v) != 0 || statfs(path, &f) != 0)
        return false;
    out->bytes = (uint64_t)v.f_bavail * v.f_frsize;
    out->memory = f.f_type == TMPFS_MAGIC || f.f_type == RAMFS_MAGIC;
    return true;
}

bool room_of(const char *folder, struct room *out, struct err *e)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s", *folder ? folder : ".") >= (int)sizeof path)
        return err_set(e, ERR_USAGE, "%.100s…: a path too long", folder);
    while (!look_at(path, out))
        if (errno != ENOENT || !go_up(path))
            return err_errno(e, "%s", path);
    uint64_t memory = out->memory ? memory_room() : UINT64_MAX;
    out->bytes = out->bytes < memory ? out->bytes : memory;
    return true;
}

bool room_check(const char *folder, const struct room *r, uint64_t needed, uint64_t held, struct err *e)
{
    char need[HUMAN_TEXT], there[HUMAN_TEXT], left[HUMAN_TEXT], lacks[HUMAN_TEXT];
    uint64_t more = needed > held ? needed - held : 0;
    if (more <= r->bytes)
        return true;
    return err_set(
        e, ERR_LIMIT,
        "%s: %s are needed, %s of them are there, %s are free%s: %s too few. Nothing was pulled; --to "
        "names another folder",
        folder, human_bytes(needed, need), human_bytes(held, there), human_bytes(r->bytes, left),
        r->memory ? _(" in memory") : "", human_bytes(more - r->bytes, lacks));
}
