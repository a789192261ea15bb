/* hub_repo.h: folders as repositories of the hub: HUB/owner/name/….
 *
 * A file .emulator.json in a repository's folder (not listed) may say: {"gated": "auto" | "manual",
 * "private": true, "disabled": true, "renamed_to": "owner/other", "resolve_cache": true, "lfs_bytes": n}.
 * resolve_cache: small files are answered by a relative redirect, as the hub does today.
 *
 * The commit is named by what the files hold. Files are hashed once, and again when size or time change. */
#ifndef FERRY_EMULATOR_HUB_REPO_H
#define FERRY_EMULATOR_HUB_REPO_H

#include "hash.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct hub;

struct hub *hub_new(const char *folder, uint64_t lfs_bytes);
void hub_free(struct hub *h);
void hub_lock(struct hub *h);
void hub_unlock(struct hub *h);

struct repo_file {
    char *path;
    uint64_t size;
    int64_t changed_ns;
    char blob[SHA1_HEX]; /* of the content; of an LFS file the pointer's would be right, and nobody looks */
    char sha256[SHA256_HEX]; /* "": not LFS */
};

struct repo {
    char *name;
    char commit[SHA1_HEX];
    struct repo_file *files; /* by path */
    int count, room;
    json_t *settings;
    int64_t read_ns;
};

/* NULL: no such folder. The hub's until hub_unlock. fresh: look at the folder again in any case. */
struct repo *repo_find_locked(struct hub *h, const char *owner, const char *name, bool fresh);
const struct repo_file *repo_file_find(const struct repo *r, const char *path);
void repo_file_path(const struct hub *h, const struct repo *r, const struct repo_file *f, char *out,
                    size_t room);

#endif
