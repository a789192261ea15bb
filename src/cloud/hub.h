/* hub.h: the Hugging Face Hub as a source: what a repository holds, and its bytes.
 *
 * HF_ENDPOINT, HF_TOKEN (HUGGING_FACE_HUB_TOKEN), HF_TOKEN_PATH, HF_HOME and HF_HUB_OFFLINE count as they do
 * for huggingface_hub. The token goes to the endpoint's host only, never to where it redirects. Any thread.
 */
#ifndef FERRY_CLOUD_HUB_H
#define FERRY_CLOUD_HUB_H

#include "base/arena.h"
#include "base/err.h"
#include "net/http.h"
#include "net/retry.h"

#include <signal.h>
#include <stdint.h>

struct hub;

/* http must outlive it. */
struct hub *hub_new(struct http *h, struct err *e);
void hub_free(struct hub *h); /* NULL is fine */
/* When calls are tried again: retry_default unless told (tests). policy must outlive h. */
void hub_set_retry(struct hub *h, const struct retry_policy *policy);

struct hub_file {
    const char *path;
    uint64_t size;
    const char *sha256;   /* of an LFS file, 64 hex digits; NULL: a small file, which git_blob names */
    const char *git_blob; /* 40 hex digits; NULL with sha256, since it would name the pointer */
};

struct hub_repo {
    const char *name;       /* owner/name */
    const char *commit;     /* what the revision points to now, 40 hex digits: all later calls use it */
    struct hub_file *files; /* in byte order of their paths */
    int count;
};

/* Resolves the revision (NULL: main) to a commit and lists its files. In the arena. False with *e set, each
 * its own message with the page to open: missing or private, gated (licence page), bad token, no such
 * revision, disabled, rate limit. */
bool hub_open(struct hub *h, const char *repo, const char *revision, struct arena *a, struct hub_repo *out,
              struct err *e);

/* size bytes from offset of a file of that commit, into memory. The signed URL is resolved once per file and
 * kept; when it has expired (403 from where it points) it is resolved again. A 200 to a range, another
 * Content-Range, another ETag than the listing's: not taken. */
bool hub_read(struct hub *h, const struct hub_repo *r, const struct hub_file *f, uint64_t offset, size_t size,
              void *into, const volatile sig_atomic_t *stop, struct err *e);

/* GET of a path ("/api/whoami-v2"), followed while it stays at the endpoint. True: an answer came, of
 * whatever status. token_origin: where the token that went along is from; NULL: none did. */
bool hub_get(struct hub *h, const char *path, http_data_fn take, void *arg, struct http_reply *r,
             const char **token_origin, struct err *e);

/* The listing's JSON (?blobs=True) alone, for tests and fuzzing. */
bool hub_parse(const char *text, size_t size, struct arena *a, struct hub_repo *out, struct err *e);

#endif
