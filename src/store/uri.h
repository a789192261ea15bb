/* uri.h: places that Ferry reads from and writes to, as people type them.
 *
 *   gs://bucket/prefix          Cloud Storage
 *   hf://owner/name[@revision][/path], and a bare owner/name    Hugging Face
 *   ./path, /path, ~ already expanded by the shell              this machine
 * A bare owner/name that is also a file or folder here, or whose first part is a folder here, is the local
 * path ("./owner/name" and "hf://owner/name" leave no doubt). A revision with slashes is written with %2F,
 * except refs/pr/N and refs/convert/NAME. "-" is stdin or stdout, where a command says so. Cloud Storage
 * names are taken as they are ("#" and "%" too): nothing is decoded. */
#ifndef FERRY_STORE_URI_H
#define FERRY_STORE_URI_H

#include "base/arena.h"
#include "base/err.h"

enum uri_scheme { URI_LOCAL, URI_GS, URI_HF, URI_STDIO };

struct uri {
    enum uri_scheme scheme;
    const char *place;    /* bucket; owner/name; NULL for local */
    const char *revision; /* of hf; NULL: main */
    const char *path;     /* object name or prefix, path in the repository, local path; "" for none */
    bool folder;          /* it ended in a slash, or names a whole place */
};

/* Strings in the arena. False with *e (ERR_USAGE) set: what is wrong with it, what was expected. */
bool uri_parse(struct uri *u, const char *text, struct arena *a, struct err *e);
/* The URI of a name below u ("gs://bucket/prefix" + "a b" = "gs://bucket/prefix/a b"), as it would be typed.
 */
char *uri_join(struct arena *a, const struct uri *u, const char *name);

/* A name that came from a listing may become a file below some folder of ours: it is relative, and no part of
 * it is empty, "." or "..". False with *e (ERR_UNSUPPORTED) set otherwise. "a/", by which Cloud Storage's
 * console marks an empty folder, is none. */
bool name_stays_below(const char *name, struct err *e);

/* "*" and "?" stay within one level, "**" crosses levels, "[a-z]" and "[!a-z]" are classes (never of "/"):
 * true when name matches. Characters are those of UTF-8. A "[" that nothing closes is itself. */
bool wildcard_match(const char *pattern, const char *name);
bool wildcard_in(const char *text);

#endif
