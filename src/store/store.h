/* store.h: one interface to where bytes lie: Cloud Storage, the hub, a local folder.
 *
 *   struct store *s = stores_open(stores, &uri, e);          a bucket, a repository at a commit, a disk
 *   store_list(s, "models/", STORE_DEEP, each, arg, e);
 *   store_read(s, &entry, offset, size, into, stop, e);
 *   struct upload *u = upload_begin(s, &spec, NULL, e);      upload_part …, upload_seal
 *
 * Names are relative to the place: object names, paths in the repository, local paths. Nothing that is
 * written is visible before upload_seal. All calls may be made by any thread at any time; an upload's parts
 * too, unless it is `ordered`. */
#ifndef FERRY_STORE_STORE_H
#define FERRY_STORE_STORE_H

#include "base/arena.h"
#include "base/err.h"
#include "cloud/cloud.h"
#include "cloud/hub.h"
#include "cloud/storage.h"
#include "store/uri.h"

#include <signal.h>
#include <stdint.h>

struct stores; /* the connections that all places share */
struct store;

/* per_host: connections to one host (http_limit). NULL with *e set. */
struct stores *stores_new(int per_host, struct err *e);
void stores_free(struct stores *s); /* closes every store too; NULL is fine */
struct cloud *stores_cloud(struct stores *s);
/* http_patience: how long a connection may bring nothing before it is given up; 30 s unless told.
 * Before the first read. */
void stores_patience(struct stores *s, int seconds);
/* Once *stop is nonzero, what is under way goes on as long as bytes move, and nothing is tried again
 * (http_wind_down). Before requests are under way. */
void stores_wind_down(struct stores *s, const volatile sig_atomic_t *stop);
/* When calls are tried again: retry_default unless told. Before the first place is opened; policy must
 * outlive s.
 */
void stores_retry(struct stores *s, const struct retry_policy *policy);

/* The same place is opened once. A repository is resolved to its commit here. Stays the stores'. */
struct store *stores_open(struct stores *s, const struct uri *u, struct err *e);
enum uri_scheme store_scheme(const struct store *s);
const char *store_commit(const struct store *s); /* of a repository; NULL otherwise */

/* One file. What a place does not say is empty. */
struct entry {
    const char *name;
    uint64_t size;
    int64_t generation; /* Cloud Storage; locally the time of change in ns, so that a change shows */
    bool has_crc32c;
    uint32_t crc32c;
    const char *sha256;   /* hub, LFS files */
    const char *git_blob; /* hub, small files */
    const char *updated;  /* RFC 3339, "" when not said */
    bool folder;          /* only with STORE_LEVEL: name ends in "/" */
};

enum store_depth { STORE_LEVEL, STORE_DEEP };
typedef bool (*entry_fn)(void *arg, const struct entry *entry,
                         struct err *e); /* strings live until it returns */

/* Everything whose name begins with prefix, in byte order of the names. Local: symbolic links to files count,
 * links to folders, what is neither file nor folder, and the part files of uploads are passed over; a folder
 * that is not there holds nothing. */
bool store_list(struct store *s, const char *prefix, enum store_depth depth, entry_fn fn, void *arg,
                struct err *e);
/* Strings in the arena. ERR_NOT_FOUND. */
bool store_stat(struct store *s, const char *name, struct arena *a, struct entry *out, struct err *e);

/* size bytes from offset of that very entry (same generation, same content). The whole range or false:
 * retries inside. ERR_BUSY: it is another file by now. */
bool store_read(struct store *s, const struct entry *from, uint64_t offset, size_t size, void *into,
                const volatile sig_atomic_t *stop, struct err *e);

/* The same, of any length, handed to take as it comes: in order, each byte once, in pieces of any size. False
 * from take, with *e set, ends it. A long range costs the way to a bucket and back once, and no memory. */
typedef bool (*store_take_fn)(void *arg, const char *bytes, size_t size, struct err *e);
bool store_pour(struct store *s, const struct entry *from, uint64_t offset, uint64_t size, store_take_fn take,
                void *arg, const volatile sig_atomic_t *stop, struct err *e);

/* A whole small file, unless it still has the generation `known` (0: no matter which), at the price of one
 * short answer. Not for the hub, whose files stay (ERR_UNSUPPORTED). ERR_NOT_FOUND. */
struct store_change {
    bool changed;
    int64_t generation;
    uint64_t size; /* more than room: nothing was read */
};
bool store_read_changed(struct store *s, const char *name, int64_t known, void *into, size_t room,
                        const volatile sig_atomic_t *stop, struct store_change *out, struct err *e);

bool store_delete(struct store *s, const struct entry *what, struct err *e); /* only that generation */

/* A whole small file, atomically (locally without fsync). if_generation: STORAGE_ANY_GENERATION,
 * STORAGE_ABSENT or the one it replaces, else ERR_BUSY. Locally that holds among processes of Ferry, and the
 * new generation is later than the one it replaces, also within one tick of the clock. out may be NULL. */
bool store_put(struct store *s, const char *name, const void *bytes, size_t size, int64_t if_generation,
               struct arena *a, struct entry *out, struct err *e);

/* --- copies that the place makes itself, no byte of which passes through here --- */

bool store_copies(const struct store *from, const struct store *to); /* there is such a way between the two */
/* Moves the copy on; to be called until at->done, when *out is what is there. For zeros, *at begins it.
 * Compared with what `from` says of itself (ERR_CORRUPT). ERR_BUSY: the source is another by now, or the
 * precondition failed. */
struct store_copy {
    struct store *from, *to;
    const struct entry *source;
    const char *name;
    int64_t if_generation;
    const volatile sig_atomic_t *stop;
};
bool store_copy(const struct store_copy *copy, struct rewrite_state *at, struct arena *a, struct entry *out,
                struct err *e);

/* --- large files, in parts --- */

struct upload;

#define UPLOAD_SIZE_UNKNOWN UINT64_MAX /* from a pipe: upload_size tells it before the last part */

struct upload_spec {
    const char *name;
    uint64_t size, part_size; /* part_size: every part but the last */
    int64_t if_generation;
};

/* How an upload is found again after the process died: opaque text that a journal keeps (it may hold a
 * secret: mode 0600). */
enum { UPLOAD_TOKEN_BYTES = 3072 };

/* resume: a token of upload_token, or NULL. When what it names is gone, ERR_NOT_FOUND: begin anew. When its
 * seal was cut off by a kill every part counts as there (upload_has), what is sent of them is not looked at,
 * and upload_seal compares the file that appeared, or finds it to be another one: ERR_NOT_FOUND, begin anew.
 * Cloud Storage: XML multipart, or where the endpoint has none, a resumable session. Local: a file
 * .NAME.ferry-part beside the target, renamed when sealed; ERR_BUSY while somebody else writes it. The store
 * must outlive the upload. */
struct upload *upload_begin(struct store *s, const struct upload_spec *spec, const char *resume,
                            struct err *e);
bool upload_size(struct upload *u, uint64_t size, struct err *e); /* only of one begun without it */
/* False: this one cannot be resumed (a local one of unknown size). */
bool upload_token(const struct upload *u, char out[UPLOAD_TOKEN_BYTES]);
bool upload_ordered(const struct upload *u);       /* parts must come one by one, in order */
bool upload_has(const struct upload *u, int part); /* after a resume: that part is there already */

/* Part `part` from 0: bytes[0..size). Retries inside. An empty file has no parts; an empty part 0 is fine. */
bool upload_part(struct upload *u, int part, const void *bytes, size_t size,
                 const volatile sig_atomic_t *stop, struct err *e);
/* Every part is there: the file appears. crc32c is that of the whole: what the place says it has is compared,
 * and a difference deletes it again (ERR_CORRUPT). With an ordered upload the place compares before it
 * appears. For those the last upload_part is held back until here: its bytes must stay where they are. */
bool upload_seal(struct upload *u, uint32_t crc32c, struct arena *a, struct entry *out, struct err *e);
/* Bytes of the disk that an upload to that name, broken off, holds and will use again; 0 where none does, or
 * nobody can tell. */
uint64_t upload_held(struct store *s, const char *name);
void upload_free(struct upload *u);                 /* leaves it resumable; NULL is fine */
bool upload_abort(struct upload *u, struct err *e); /* forgets what was sent; frees */

#endif
