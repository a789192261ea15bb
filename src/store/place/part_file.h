/* part_file.h: a file that is written beside its target and takes the target's name when it is whole.
 *
 * It is named .NAME.ferry-part and locked while somebody writes it, so that two processes (or threads) never
 * mix their bytes; a killed one leaves it, and the next goes on with it or empties it. */
#ifndef FERRY_STORE_PLACE_PART_FILE_H
#define FERRY_STORE_PLACE_PART_FILE_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PART_FILE_END ".ferry-part"

struct part_file {
    char *target, *temp; /* paths */
    int fd;              /* -1: not open */
};

/* Makes the target's folders too. keep: what an earlier run wrote stays, and ERR_NOT_FOUND when there is
 * none; else it begins empty. ERR_BUSY: somebody else is writing it. */
bool part_file_open(struct part_file *f, const char *target, bool keep, struct err *e);
void part_file_close(struct part_file *f);   /* leaves it there; a zeroed one is fine */
void part_file_discard(struct part_file *f); /* removes it */

/* Room for `size` bytes, so that a full disk shows at the start. */
bool part_file_reserve(struct part_file *f, uint64_t size, struct err *e);
bool part_file_write(struct part_file *f, const void *bytes, size_t size, uint64_t offset, struct err *e);
/* Fewer than size bytes there: ERR_CORRUPT. */
bool part_file_read(struct part_file *f, void *bytes, size_t size, uint64_t offset, struct err *e);
/* The disk may begin to write that range: what fsync waits for in the end is little. */
void part_file_start_writing(struct part_file *f, uint64_t offset, uint64_t size);
/* Cut to size bytes, and on disk, also after a power cut. */
bool part_file_finish(struct part_file *f, uint64_t size, struct err *e);
/* After part_file_publish: the new name as well. What fails here leaves the file as good as it was. */
void part_file_sync_name(const struct part_file *f);
/* Takes the target's name. only_new: ERR_BUSY when the target is there. It stays open (for fstat). */
bool part_file_publish(struct part_file *f, bool only_new, struct err *e);

/* Bytes of the disk that the part file of this target takes; 0: there is none. */
uint64_t part_file_held(const char *target);

/* True of the leaf of a part file: no listing shows it. */
bool part_file_is(const char *leaf);

#endif
