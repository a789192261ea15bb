/* libraries.h: the shared libraries that a program loads on this machine, found as its loader finds them
 * (ld.so(8)): the RPATH of who asks and of those it came with, its RUNPATH, the loader's cache, the folders
 * that every loader knows. $ORIGIN counts; LD_LIBRARY_PATH does not, since the same program is to give the
 * same image in every shell; nor do libraries for newer processors alone, since an image must run on all. */
#ifndef FERRY_TARGET_ELF_LIBRARIES_H
#define FERRY_TARGET_ELF_LIBRARIES_H

#include "base/arena.h"
#include "base/err.h"

/* Where to look, apart from what the files say themselves. */
struct library_places {
    const char *cache;          /* "/etc/ld.so.cache"; one that is not there is empty */
    const char *const *folders; /* ended by NULL */
};
extern const struct library_places library_places_usual;

struct library {
    const char *name;      /* as it is asked for: "libcurl.so.4" */
    const char *path;      /* where it was found */
    const char *needed_by; /* name of the first that asks for it */
};

/* Strings in the arena. */
struct libraries {
    struct library *items; /* in the order in which they are loaded */
    int count;
    const char *interpreter; /* of the program: the loader itself; NULL: a static one */
};

/* program: its path, also for $ORIGIN. at_run_time: names that it loads with dlopen, ended by NULL. False
 * with *e set: a file that is no ELF file, or a library that is not on this machine (ERR_NOT_FOUND), each
 * with who asks for it. */
bool libraries_find(struct libraries *out, const char *program, const char *const *at_run_time,
                    const struct library_places *places, struct arena *a, struct err *e);

#endif
