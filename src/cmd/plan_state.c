#include "cmd/plan_state.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MAX_FILE = 1 << 20 };

const char *plan_state_path(const char *name, struct arena *a, struct err *e)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    bool has_state = state && *state == '/'; /* a relative one is to be ignored, says the XDG specification */
    if (!has_state && !(home && *home == '/')) {
        err_set(e, ERR_USAGE, "no place for what was measured: set HOME or XDG_STATE_HOME");
        return NULL;
    }
    const char *path =
        arena_printf(a, "%s%s/ferry/%s", has_state ? state : home, has_state ? "" : "/.local/state", name);
    if (!path)
        err_set(e, ERR_MEMORY, "no memory for a path");
    return path;
}

const char *plan_state_read(const char *path, struct arena *a, size_t *size, struct err *e)
{
    return file_exists(path) ? file_read(a, path, MAX_FILE, size, e) : NULL;
}

/* All folders on the way to that file. */
static bool make_folders(const char *path, struct arena *a, struct err *e)
{
    char *part = arena_strndup(a, path, strlen(path));
    for (char *at = part ? strchr(part + 1, '/') : NULL; at; at = strchr(at + 1, '/')) {
        *at = 0;
        if (mkdir(part, 0700) != 0 && errno != EEXIST)
            return err_errno(e, "%s", part);
        *at = '/';
    }
    return part || err_set(e, ERR_MEMORY, "no memory for a path");
}

/* Under another name first, so that whoever reads finds all of the old or all of the new. */
static bool replace(const char *path, const char *fresh, const char *text, struct err *e)
{
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_errno(e, "%s", fresh);
    bool ok = file_write(fd, text, strlen(text)) || err_errno(e, "%s", fresh);
    close(fd);
    ok = ok && (rename(fresh, path) == 0 || err_errno(e, "%s", path));
    if (!ok)
        unlink(fresh);
    return ok;
}

bool plan_state_write(const char *name, json_t *root, struct arena *a, struct err *e)
{
    const char *path = plan_state_path(name, a, e);
    const char *fresh = path ? arena_printf(a, "%s.%ld", path, (long)getpid()) : NULL;
    char *text = root ? json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(root);
    bool ok = path && ((text && fresh) || err_set(e, ERR_MEMORY, "no memory for what was measured")) &&
              make_folders(path, a, e) && replace(path, fresh, text, e);
    free(text);
    return ok;
}

void plan_state_date(char out[16])
{
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(out, 16, "%Y-%m-%d", &utc);
}

bool plan_state_word(char *out, size_t room, const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    if (!s || strlen(s) >= room)
        return false;
    for (const char *at = s; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            return false;
    strcpy(out, s);
    return true;
}

void plan_state_copy(char *out, size_t room, const char *text)
{
    size_t n = strnlen(text, room - 1);
    while (text[n] && n && ((unsigned char)text[n] & 0xc0) == 0x80) /* not within a character of UTF-8 */
        n--;
    for (size_t i = 0; i < n; i++)
        out[i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? '?' : text[i];
    out[n] = 0;
}
