/* text_data.h: what the tests of the text part read: tokenizers, and goldens as JSON. */
#ifndef FERRY_TESTS_TEXT_DATA_H
#define FERRY_TESTS_TEXT_DATA_H

#include "engine/tokenizer.h"

#include <jansson.h>

#define QWEN2_TOKENIZER "data/models/qwen2-tokenizer"
#define TINY_AUDIO "data/models/tiny-qwen2-audio"

enum { QWEN2_ROWS = 156032, TINY_ROWS = 1088 };

/* Each fails the running test, saying why. */
json_t *text_data_json(const char *path);
struct tokenizer *text_data_tokenizer(const char *folder, int vocab);
char *text_data_file(const char *path, size_t *size); /* malloc'ed, with a NUL behind it */

#endif
