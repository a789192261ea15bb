/* proxy_body.c: the body of a request while it comes: a file in TMPDIR, else /var/tmp, that has no name any
 * more. */
#include "cmd/proxy.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Not /tmp, which is memory on many machines (file-hierarchy(7)). */
#define FOLDER "/var/tmp"

static bool open_file(struct proxy_body *b, struct err *e)
{
    const char *folder = getenv("TMPDIR");
    char path[PATH_MAX];
    if (!folder || !*folder)
        folder = FOLDER;
    if (snprintf(path, sizeof path, "%s/ferry-proxy-XXXXXX", folder) >= (int)sizeof path)
        return err_set(e, ERR_USAGE, "TMPDIR is too long a path");
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return err_errno(e, "cannot keep the request's body in %s (TMPDIR)", folder);
    unlink(path);
    b->file = fd;
    return true;
}

bool proxy_body_add(struct proxy_body *b, const char *bytes, size_t size, struct err *e)
{
    if (size > PROXY_BODY_BYTES - b->size)
        return err_set(e, ERR_LIMIT, "the body is larger than %d MiB", PROXY_BODY_BYTES >> 20);
    if (!b->file && !open_file(b, e))
        return false;
    while (size) {
        ssize_t n = write(b->file, bytes, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(e, "cannot keep the request's body (TMPDIR)");
        bytes += n;
        size -= (size_t)n;
        b->size += (uint64_t)n;
    }
    return true;
}

void proxy_body_clear(struct proxy_body *b)
{
    if (b->file)
        close(b->file);
    *b = (struct proxy_body){0};
}
