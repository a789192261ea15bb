/* spelling.h: base tokens and merges as the files spell them, put into a vocabulary. */
#ifndef FERRY_ENGINE_TEXT_SPELLING_H
#define FERRY_ENGINE_TEXT_SPELLING_H

#include "engine/text/byte_alphabet.h"
#include "engine/text/vocab.h"

struct spelling {
    struct byte_alphabet alphabet;
};

void spelling_init(struct spelling *s);

bool spelling_add_token(const struct spelling *s, struct vocab *v, const char *text, size_t size, int id,
                        struct err *e);
bool spelling_add_merge(const struct spelling *s, struct vocab *v, const char *left, size_t left_size,
                        const char *right, size_t right_size, struct err *e);

/* "left right", as merges.txt and older tokenizer.json files have it. */
bool spelling_add_merge_line(const struct spelling *s, struct vocab *v, const char *line, size_t size,
                             struct err *e);

#endif
