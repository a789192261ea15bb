/* chat_template.h: the chat template (Jinja) that a model folder ships. Ferry does not run it
 * (engine/chat.h has its own words for it); it is passed on with the model. */
#ifndef FERRY_MODEL_CHAT_TEMPLATE_H
#define FERRY_MODEL_CHAT_TEMPLATE_H

#include "base/arena.h"
#include "base/err.h"

/* Of chat_template.json, else of tokenizer_config.json, as the reference prefers; *text NULL when neither has
 * one. False with *e set: a file that is no JSON object, a template that is no text. */
bool chat_template_read(const char **text, const char *folder, struct arena *a, struct err *e);

#endif
