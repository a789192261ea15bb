/* journal_copy.h: the copy of a journal that lies in the target, so that another machine can go on:
 * PREFIX/.ferry/journal-LEAF, where the journal is named LEAF here. */
#ifndef FERRY_TRANSFER_JOURNAL_COPY_H
#define FERRY_TRANSFER_JOURNAL_COPY_H

#include "base/arena.h"
#include "base/err.h"
#include "store/store.h"
#include "transfer/journal.h"

/* In the arena; NULL: no memory. prefix: "" or with a slash at its end; of the journal of this pair. */
char *journal_copy_name(struct arena *a, const char *prefix, const char *source, const char *target);

/* Takes over what the copy knows and the journal does not. None there is fine. */
bool journal_copy_read(struct journal *j, struct store *s, const char *name, struct err *e);
/* What a copy says, without a journal of our own (journal_of_text). NULL with *e set: ERR_NOT_FOUND, none is
 * there.
 */
struct journal *journal_copy_open(struct store *s, const char *name, const char *source, const char *target,
                                  struct err *e);
bool journal_copy_write(struct journal *j, struct store *s, const char *name, struct err *e);
bool journal_copy_delete(struct store *s, const char *name, struct err *e); /* none there is fine */

#endif
