#include "base/file_source.h"

#include "base/file.h"

static bool read_folder(const struct file_source *s, const char *name, size_t ceiling, struct arena *a,
                        const char **bytes, size_t *size, struct err *e)
{
    char *path = arena_printf(a, "%s/%s", s->where, name);
    *bytes = NULL;
    *size = 0;
    if (!path)
        return err_set(e, ERR_MEMORY, "%s/%s: no memory for its path", s->where, name);
    struct err why = {0};
    *bytes = file_read(a, path, ceiling, size, &why);
    if (*bytes || why.kind == ERR_NOT_FOUND)
        return true;
    if (e)
        *e = why;
    return false;
}

struct file_source file_source_folder(const char *path)
{
    return (struct file_source){.read = read_folder, .where = path};
}

bool file_source_need(const struct file_source *s, const char *name, size_t ceiling, struct arena *a,
                      const char **bytes, size_t *size, struct err *e)
{
    if (!s->read(s, name, ceiling, a, bytes, size, e))
        return false;
    return *bytes || err_set(e, ERR_NOT_FOUND, "%s/%s: No such file or directory", s->where, name);
}
