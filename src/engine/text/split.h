/* split.h: the pretokenizer: where BPE may not merge across. */
#ifndef FERRY_ENGINE_TEXT_SPLIT_H
#define FERRY_ENGINE_TEXT_SPLIT_H

#include "base/err.h"

#include <stddef.h>

/* The pattern as Qwen2's files spell it. */
extern const char split_pattern[];

/* The compiled pattern; any thread may use it. NULL with *e set. */
struct splitter;
struct splitter *splitter_new(struct err *e);
void splitter_free(struct splitter *s); /* NULL is fine */

/* Walks one text after the other. One thread. */
struct split;
struct split *split_new(const struct splitter *s, struct err *e);
void split_free(struct split *p); /* NULL is fine */

/* Bytes of the pretoken at `from` in text[0..size), valid UTF-8, from < size. 0 with *e set. */
size_t split_next(struct split *p, const char *text, size_t size, size_t from, struct err *e);

#endif
