/* sources.h: the files that URIs on a command line name: a file, all of a folder, what a wildcard matches. */
#ifndef FERRY_CMD_SOURCES_H
#define FERRY_CMD_SOURCES_H

#include "store/store.h"

#include <stdbool.h>
#include <stddef.h>

/* A URI taken apart and opened. */
struct place {
    struct uri uri;      /* as it was typed */
    struct uri root;     /* the place alone, for uri_join */
    struct store *store; /* the stores' */
    const char *path;    /* the name in it, without slashes at its end ("/" stays) */
};

/* Whether what text names can be written to: anything but the hub. */
bool place_writable(const char *text, struct arena *a, struct err *e);
/* Strings in the arena. */
bool place_open(struct place *p, struct stores *stores, const char *text, struct arena *a, struct err *e);
char *place_uri(const struct place *p, const char *name, struct arena *a);
/* path + "/", or "" for the whole place: what the names of all in that folder begin with. */
char *place_prefix(const struct place *p, struct arena *a);
/* store_list; of a bucket that is not there it says how to make one. */
bool place_list(const struct place *p, const char *prefix, enum store_depth depth, entry_fn fn, void *arg,
                struct err *e);
/* Whether anything lies in that folder. */
bool place_is_folder(const struct place *p, struct arena *a, bool *is, struct err *e);
/* As store_stat; a name that is not there is no failure: *there says so. */
bool place_stat(const struct place *p, struct arena *a, struct entry *out, bool *there, struct err *e);

struct source {
    const struct place *place;
    struct entry entry;
    const char *base, *below; /* see copy_name.h */
};

struct sources {
    struct stores *stores;
    struct arena *arena;
    bool recursive;    /* folders are taken, with all in them */
    bool with_markers; /* empty objects that stand for a folder ("a/") are taken too */
    struct source *items;
    size_t count, room;
    int things;         /* files, folders and matches named; a folder is one, whatever is in it */
    int folders_passed; /* matches that were folders, without `recursive` */
};

/* Adds what text names. False with *e set: ERR_NOT_FOUND, ERR_USAGE (a folder, without `recursive`). */
bool sources_find(struct sources *s, const char *text, struct err *e);
void sources_clear(struct sources *s); /* not the arena */

/* A copy of an entry, strings in the arena. False: no memory. */
bool entry_copy(struct entry *to, const struct entry *from, struct arena *a, struct err *e);

/* How many leading bytes of name, up to a slash or its end, the pattern matches; 0: none. */
size_t matched_part(const char *pattern, const char *name);

#endif
