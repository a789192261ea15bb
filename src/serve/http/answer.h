/* answer.h: pieces of OpenAI's response bodies. */
#ifndef FERRY_SERVE_HTTP_ANSWER_H
#define FERRY_SERVE_HTTP_ANSWER_H

#include "engine/tokenizer.h"
#include "serve/scheduler.h"

#include <jansson.h>

/* The tokens of an EVENT_TEXT: [{"token", "logprob", "bytes", "top_logprobs"}, …]. */
json_t *token_reports_json(const struct tokenizer *t, const struct event *event);

#endif
