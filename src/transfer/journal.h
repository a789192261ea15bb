/* journal.h: how far a copy is, so that the next run goes on instead of starting over.
 *
 * A text file of lines that are only ever appended, each with its own checksum; a last line that was cut off
 * by kill -9 or a full disk is dropped, and so is everything behind a damaged one. It lies in
 * $XDG_STATE_HOME/ferry (~/.local/state/ferry), mode 0600, named after source and target; while a process
 * works with it, it is locked (a second one is told which process). A copy lies in the target, .ferry/journal
 * of the prefix, at most every five seconds (journal_text), so that another machine can go on; that copy has
 * no session URLs, which are secrets.
 *
 *   begin  NAME SIZE IDENTITY PART_BYTES UPLOAD_TOKEN      an upload was opened
 *   part   NAME NUMBER CRC32C SHA256_STATE                 a part is stored; the hash of all bytes up to its
 * end done   NAME CRC32C SHA256 GENERATION RANGES            sealed and verified IDENTITY is what the source
 * said of the file (sha256, git blob id, generation): another one starts it anew. */
#ifndef FERRY_TRANSFER_JOURNAL_H
#define FERRY_TRANSFER_JOURNAL_H

#include "base/arena.h"
#include "base/err.h"
#include "base/sha.h"

#include <stdint.h>

struct journal;

struct journal_part {
    bool there;
    uint32_t crc32c;
    char sha256_state[SHA256_STATE_TEXT]; /* "" when parts came out of order and it was not known */
};

struct journal_file {
    const char *name, *identity, *upload_token;
    uint64_t size;
    uint32_t part_bytes;
    struct journal_part *parts; /* [part_count] */
    int part_count;
    bool done;
    uint32_t crc32c;
    char sha256[SHA256_HEX];
    int64_t generation;
};

/* Opens or makes the journal of this pair; reads what is there. NULL with *e set: ERR_BUSY when another
 * process has it, ERR_IO. */
struct journal *journal_open(const char *source, const char *target, struct err *e);
void journal_close(struct journal *j);                 /* NULL is fine */
bool journal_remove(struct journal *j, struct err *e); /* all is done: deletes and closes */
const char *journal_path(const struct journal *j);

/* What is known of a file, or NULL. Valid until the next call that writes about the same file. */
const struct journal_file *journal_find(struct journal *j, const char *name);

/* Each is on disk (write, not fsync: a killed process loses nothing, a killed machine the last seconds) when
 * it returns. Any thread. */
bool journal_begin(struct journal *j, const char *name, uint64_t size, const char *identity,
                   uint32_t part_bytes, const char *upload_token, struct err *e);
bool journal_part(struct journal *j, const char *name, int part, uint32_t crc32c, const char *sha256_state,
                  struct err *e);
bool journal_done(struct journal *j, const char *name, uint32_t crc32c, const char *sha256,
                  int64_t generation, struct err *e);

/* The whole as text without secrets (malloc), and taking over such a text where ours knows less. */
char *journal_text(struct journal *j, size_t *size, struct err *e);
bool journal_adopt(struct journal *j, const char *text, size_t size, struct err *e);

/* The lines alone, for tests and fuzzing: how many whole ones, no file. */
bool journal_check(const char *text, size_t size, int *lines, struct err *e);

#endif
