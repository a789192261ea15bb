/* added_json.h: an added token as tokenizer_config.json and tokenizer.json describe it. */
#ifndef FERRY_ENGINE_TEXT_ADDED_JSON_H
#define FERRY_ENGINE_TEXT_ADDED_JSON_H

#include "engine/text/parts.h"

#include <jansson.h>

/* {"content": …, "special": …, "lstrip": …, …} added under that id. The error names id and key. */
bool added_json_read(struct tokenizer *t, const json_t *entry, int id, struct err *e);

#endif
