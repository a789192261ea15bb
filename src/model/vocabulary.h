/* vocabulary.h: a tokenizer's tokens and merges, spelled as the files of byte-level BPE spell them: each byte
 * of a base token one printable character, " the" as "Ġthe". Whoever has read a tokenizer
 * (engine/tokenizer.h) tells it whoever writes one down (model/gguf.h). */
#ifndef FERRY_MODEL_VOCABULARY_H
#define FERRY_MODEL_VOCABULARY_H

#include <stddef.h>

enum token_kind {
    TOKEN_NONE,    /* an id without a token */
    TOKEN_BASE,    /* spelled; what BPE gives */
    TOKEN_ADDED,   /* its text as it is; cut out of text, and part of it */
    TOKEN_SPECIAL, /* the same, but left out when text is decoded */
};

struct vocabulary {
    struct vocabulary_token {
        const char *text; /* "" for TOKEN_NONE */
        enum token_kind kind;
    } * tokens; /* [count], by id */
    int count;
    const char **merges; /* [merge_count], "left right", in the order of their ranks */
    size_t merge_count;
};

#endif
