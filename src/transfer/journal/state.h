/* state.h: what the lines of a journal amount to. One thread at a time. */
#ifndef FERRY_TRANSFER_JOURNAL_STATE_H
#define FERRY_TRANSFER_JOURNAL_STATE_H

#include "transfer/journal.h"

struct state {
    char *source, *target;       /* of the header; NULL before it */
    struct journal_file **files; /* in the order of their first lines */
    size_t count, room;
    size_t *index; /* [index_room] 1 + place in files, by hash of the name; 0: free */
    size_t index_room;
    size_t parts; /* of all files that have an array of them */
};

/* Takes in the whole lines of text, which it takes apart. *good: bytes up to the end of the last one before
 * damage or the end; *lines: how many. False only when memory is short. */
bool state_read(struct state *s, char *text, size_t size, size_t *good, int *lines, struct err *e);
void state_clear(struct state *s);

struct journal_file *state_find(const struct state *s, const char *name);
int state_parts_there(const struct journal_file *f);

/* CRCs that a part, or a whole file, has. */
size_t state_ranges(const struct journal_start *s, uint64_t bytes);
uint64_t state_part_size(const struct journal_file *f, int part);

#endif
