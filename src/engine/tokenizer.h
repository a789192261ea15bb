/* tokenizer.h: Qwen2's byte-level BPE, both ways.
 *
 * Read from vocab.json + merges.txt + tokenizer_config.json, or from tokenizer.json. Text is NFC-normalised,
 * split by the pretokenizer's pattern and merged; added tokens are cut out first, if asked for.
 * Read-only after tokenizer_new: any thread may use it. */
#ifndef FERRY_ENGINE_TOKENIZER_H
#define FERRY_ENGINE_TOKENIZER_H

#include "base/arena.h"
#include "base/err.h"
#include "base/file_source.h"
#include "model/vocabulary.h"

#include <stdbool.h>
#include <stddef.h>

struct tokenizer;

/* Reads the tokenizer files of a model. vocab: rows of the embedding; an id at or over it is refused.
 * NULL with *e set: file, line or key, what was there, what was expected. */
struct tokenizer *tokenizer_new(const struct file_source *files, int vocab, struct err *e);
void tokenizer_free(struct tokenizer *t); /* NULL is fine */

/* A growing list of ids. Zeroed is empty; ids_clear frees. */
struct ids {
    int *data;
    size_t count, room;
};
bool ids_push(struct ids *ids, int id, struct err *e);
void ids_clear(struct ids *ids);

enum token_specials {
    SPECIALS_AS_TEXT,   /* text that spells an added token is text: for everything a user wrote */
    SPECIALS_AS_TOKENS, /* added tokens are cut out by exact match: for templates, and what the reference does
                         */
};

/* Appends the ids of text[0..size). Invalid UTF-8 is refused (ERR_USAGE). */
bool tokenizer_encode(const struct tokenizer *t, const char *text, size_t size, enum token_specials specials,
                      struct ids *out, struct err *e);

/* The id of an added token by its text ("<|im_end|>"), or -1. */
int tokenizer_added(const struct tokenizer *t, const char *text);

/* The bytes of one token: not NUL-terminated, not necessarily whole characters. Added tokens that are marked
 * special, and ids without a token, have none (*size 0). */
const char *tokenizer_bytes(const struct tokenizer *t, int id, size_t *size);

/* The bytes of one token as tokenizer_bytes, but special ones by their text: for logprobs and debugging. */
const char *tokenizer_name(const struct tokenizer *t, int id, size_t *size);

/* All tokens and merges as files spell them, in the arena (some 30 MB for Qwen2's). False: no memory. */
bool tokenizer_vocabulary(const struct tokenizer *t, struct vocabulary *out, struct arena *a, struct err *e);

/* Ids to text as it streams: bytes in, whole characters out. Invalid UTF-8 becomes U+FFFD per maximal invalid
 * part, as Python's "replace"; an incomplete character is held back until the next token or the end.
 * Zeroed is fresh. */
struct detokenizer {
    unsigned char held[4];
    int held_count;
};

/* The characters that token id completes: appended to out (room bytes), the count returned. room must be at
 * least detokenizer_room(size of the token's bytes). */
size_t detokenizer_push(struct detokenizer *d, const char *bytes, size_t size, char *out);
size_t detokenizer_finish(struct detokenizer *d,
                          char *out); /* what was held back, as U+FFFD; at most 3 bytes each */
static inline size_t detokenizer_room(size_t size)
{
    return (size + 4) * 3;
}

#endif
