/* parts.h: what a tokenizer is made of, and how its files fill it. */
#ifndef FERRY_ENGINE_TEXT_PARTS_H
#define FERRY_ENGINE_TEXT_PARTS_H

#include "engine/text/added.h"
#include "engine/text/split.h"
#include "engine/text/vocab.h"
#include "engine/tokenizer.h"

struct tokenizer {
    struct vocab vocab;
    struct added raw;        /* added tokens looked for in text as it came */
    struct added normalized; /* those looked for in normalised text */
    bool *special;           /* [vocab.room]: an added token that decoding leaves out */
    struct splitter *splitter;
};

/* A file in memory; data NULL: it is not there. */
struct token_file {
    const char *data;
    size_t size;
};

struct token_files {
    struct token_file vocab, merges, config; /* vocab.json, merges.txt, tokenizer_config.json */
    struct token_file json;                  /* tokenizer.json: used when one of the three is not there */
};

/* tokenizer_new from files in memory, which may go when it returns. */
struct tokenizer *tokenizer_parse(const struct token_files *f, int vocab, struct err *e);

/* One added token, checked. Refused: a flag that is not honoured, an id or text that another one has. */
bool tokenizer_add(struct tokenizer *t, const struct added_token *a, struct err *e);

/* Each fills t from one file; the error names the file. */
bool read_vocab_json(struct tokenizer *t, const struct token_file *f, struct err *e);
bool read_merges_txt(struct tokenizer *t, const struct token_file *f, struct err *e);
bool read_tokenizer_config(struct tokenizer *t, const struct token_file *f, struct err *e);
bool read_tokenizer_json(struct tokenizer *t, const struct token_file *f, struct err *e);

#endif
