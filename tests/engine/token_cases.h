/* token_cases.h: what the tests of the tokenizer share: its files in memory, and the goldens. */
#ifndef FERRY_TESTS_TOKEN_CASES_H
#define FERRY_TESTS_TOKEN_CASES_H

#include "engine/text/parts.h"
#include "text_data.h"

/* The files of a folder in memory. */
struct folder_files {
    char *vocab, *merges, *config, *json;
    struct token_files f;
};
void load_files(struct folder_files *d, const char *folder);
void free_files(struct folder_files *d);
struct token_file file_of(const char *text);

/* Each fails the running test, saying why. */
struct tokenizer *parse_files(const struct token_files *f, int vocab);
struct ids encode(const struct tokenizer *t, const char *text, size_t size, enum token_specials how);

/* Streams ids through the detokenizer; malloc'ed. */
typedef const char *bytes_fn(const struct tokenizer *t, int id, size_t *size);
char *decode(const struct tokenizer *t, const int *ids, size_t count, bytes_fn *bytes_of, size_t *size);

/* goldens/tokenizer.json, both ways. */
void every_golden_is_met(const struct tokenizer *t);

#endif
