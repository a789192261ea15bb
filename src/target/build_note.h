/* build_note.h: what a ferry program says of itself in an ELF note, so that an image can be labelled from the
 * file alone, whichever ferry packs it. The note is JSON:
 *
 *   {"version": "0.1.0", "revision": "27d2c2a…", "date": 1764089000, "source": "https://…"}
 *
 * revision: the commit, with "-dirty" behind it when what was built differs from it; "" when unknown, as is
 * source. date: of the commit, in seconds since 1970; 0 when unknown. */
#ifndef FERRY_TARGET_BUILD_NOTE_H
#define FERRY_TARGET_BUILD_NOTE_H

#include "base/arena.h"
#include "base/err.h"

#include <stdint.h>

#define BUILD_NOTE_OWNER "Ferry"
enum { BUILD_NOTE_TYPE = 1 };

struct build_note {
    const char *version, *revision, *source; /* in the arena */
    int64_t date;
};

/* The note of a program's bytes. False with *e set: ERR_CORRUPT, it has none or another; it is no ferry. */
bool build_note_read(struct build_note *out, const void *program, size_t size, struct arena *a,
                     struct err *e);

#endif
