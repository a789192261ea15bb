#include "transfer/engine/digest.h"

#include <string.h>

bool digest_start(struct digest *d, const struct entry *source, const char *state, struct err *e)
{
    *d = (struct digest){0};
    sha256_start(&d->sha256);
    if (*state && !sha256_load(&d->sha256, state))
        return err_set(e, ERR_CORRUPT, "the journal's state of the sha256 cannot be read");
    if (source->git_blob && !source->sha256) {
        d->git = git_blob_start(source->size);
        if (!d->git)
            return err_set(e, ERR_MEMORY, "no memory for a hash");
    }
    return true;
}

void digest_add(struct digest *d, const void *bytes, size_t size)
{
    sha256_add(&d->sha256, bytes, size);
    if (d->git)
        git_blob_add(d->git, bytes, size);
}

bool digest_end(struct digest *d, const struct entry *source, char sha256[SHA256_HEX], struct err *e)
{
    sha256_end(&d->sha256, sha256);
    if (source->sha256 && strcmp(source->sha256, sha256) != 0)
        return err_set(e, ERR_CORRUPT, "sha256 of what arrived is %s, of the source %s: nothing was stored",
                       sha256, source->sha256);
    if (!d->git)
        return true;
    char hex[GIT_BLOB_HEX];
    git_blob_end(d->git, hex);
    d->git = NULL;
    return strcmp(source->git_blob, hex) == 0 ||
           err_set(e, ERR_CORRUPT, "git blob id of what arrived is %s, of the source %s: nothing was stored",
                   hex, source->git_blob);
}

void digest_clear(struct digest *d)
{
    char hex[GIT_BLOB_HEX];
    if (d->git)
        git_blob_end(d->git, hex); /* the only way to free it */
    d->git = NULL;
}
