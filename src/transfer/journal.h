/* journal.h: how far a copy is, so that the next run goes on instead of starting over.
 *
 * A text file of lines that are only ever appended, each with its own checksum; a last line that was cut off
 * by kill -9 or a full disk is dropped, and so is everything behind a damaged one. It lies in
 * $XDG_STATE_HOME/ferry (~/.local/state/ferry), mode 0600, named after source and target; while a process
 * works with it, it is locked (a second one is told which process). A copy lies in the target
 * (journal_copy.h), so that another machine can go on; that copy has no session URLs, which are secrets.
 *
 *   ferry-journal 1 SOURCE TARGET
 *   begin NAME SIZE IDENTITY PART_BYTES RANGE_BYTES OPEN TOKEN   an upload was opened (OPEN: the token is no
 *                                                                secret)
 *   part NAME NUMBER RANGES SHA256_STATE     a part is stored; the hash of all bytes up to its end
 *   seal NAME CRC32C SHA256 RANGES           every part is stored and verified, it is about to appear
 *   done NAME GENERATION                     it is there
 * A file that is written in one piece has its three lines when it is there.
 *
 * NAME is that of the target. IDENTITY is what the source said of the file (sha256, git blob id, generation):
 * another one starts it anew. RANGES are the CRC32Cs of pieces of RANGE_BYTES, with commas; a part is a whole
 * number of them. Fields stand with "%XX" for what is not printable, "-" for nothing; each line ends in the
 * CRC32C of what stands before it. */
#ifndef FERRY_TRANSFER_JOURNAL_H
#define FERRY_TRANSFER_JOURNAL_H

#include "base/arena.h"
#include "base/err.h"
#include "base/sha.h"

#include <stdint.h>

struct journal;

enum {
    JOURNAL_MAX_BYTES = 256 << 20,
    JOURNAL_MAX_PARTS = 1 << 20, /* of all files together: 8 TB in parts of 8 MiB */
};

struct journal_part {
    bool there;
    uint32_t *ranges; /* [ranges of this part] */
    int range_count;
    char *sha256_state; /* "" when nobody asked for the hash, and at the end of a file */
};

/* What a copy of one file begins with. */
struct journal_start {
    const char *name, *identity;
    const char *upload_token; /* "" for a file that is written in one piece */
    bool token_is_secret;
    uint64_t size;
    uint32_t part_bytes, range_bytes;
};

/* What it ends with. */
struct journal_seal {
    uint32_t crc32c;
    const char *sha256; /* "" when nobody asked for it */
    const uint32_t *ranges;
    int range_count;
};

struct journal_file {
    struct journal_start start;
    struct journal_part *parts; /* [part_count]; NULL when none is there */
    int part_count;
    bool sealing, done;
    struct journal_seal seal; /* when sealing or done */
    int64_t generation;       /* when done */
};

/* Opens or makes the journal of this pair; reads what is there. NULL with *e set: ERR_BUSY when another
 * process has it, ERR_IO. */
struct journal *journal_open(const char *source, const char *target, struct err *e);
bool journal_exists(const char *source, const char *target); /* a copy of this pair was begun and not ended */
void journal_close(struct journal *j);                       /* NULL is fine */
bool journal_remove(struct journal *j, struct err *e);       /* all is done: deletes and closes */
const char *journal_path(const struct journal *j);

/* The last part of the path of this pair's journal, into out. Returns out. */
enum { JOURNAL_LEAF = 80 };
char *journal_leaf(const char *source, const char *target, char out[JOURNAL_LEAF]);

/* What is known of a file, or NULL. Valid until the next call that writes about the same file. */
const struct journal_file *journal_find(struct journal *j, const char *name);

/* Each is on disk (write, not fsync: a killed process loses nothing, a killed machine the last seconds) when
 * it returns. Any thread. */
bool journal_begin(struct journal *j, const struct journal_start *start, struct err *e);
bool journal_part(struct journal *j, const char *name, int part, const uint32_t *ranges, int range_count,
                  const char *sha256_state, struct err *e);
bool journal_sealing(struct journal *j, const char *name, const struct journal_seal *seal, struct err *e);
bool journal_done(struct journal *j, const char *name, int64_t generation, struct err *e);
/* The three at once, of a file that was written in one piece: a third of the writes. */
bool journal_whole(struct journal *j, const struct journal_start *start, const struct journal_seal *seal,
                   int64_t generation, struct err *e);

/* The whole as text without secrets (malloc), and taking over such a text where ours knows less. */
char *journal_text(struct journal *j, size_t *size, struct err *e);
bool journal_adopt(struct journal *j, const char *text, size_t size, struct err *e);

/* What such a text says, to look things up in: a journal without a file, which nothing can be written to.
 * NULL with *e set: ERR_CORRUPT, it is not of this pair. journal_close. */
struct journal *journal_of_text(const char *source, const char *target, const char *text, size_t size,
                                struct err *e);

/* The lines alone, for tests and fuzzing: how many whole ones, no file. False only when memory is short or
 * it is over a limit. */
bool journal_check(const char *text, size_t size, int *lines, struct err *e);

#endif
