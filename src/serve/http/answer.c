#include "serve/http/answer.h"

#include <stdlib.h>

/* What OpenAI reports for a token that cannot come: JSON has no infinity. */
static const double least_logprob = -9999.0;

static json_t *bytes_json(const char *bytes, size_t size)
{
    json_t *list = json_array();
    for (size_t i = 0; i < size; i++)
        json_array_append_new(list, json_integer((unsigned char)bytes[i]));
    return list;
}

/* A token may end inside a character; what is not whole becomes U+FFFD, and "bytes" has the truth. */
static json_t *token_text(const char *bytes, size_t size)
{
    struct detokenizer d = {0};
    char *text = malloc(detokenizer_room(size) + detokenizer_room(0));
    if (!text)
        return NULL;
    size_t n = detokenizer_push(&d, bytes, size, text);
    n += detokenizer_finish(&d, text + n);
    json_t *s = json_stringn(text, n);
    free(text);
    return s;
}

static json_t *token_json(const struct tokenizer *t, const struct token_logprob *p)
{
    size_t size;
    const char *bytes = tokenizer_name(t, p->id, &size);
    double logprob = p->logprob > least_logprob ? (double)p->logprob : least_logprob;
    return json_pack("{s:o, s:f, s:o}", "token", token_text(bytes, size), "logprob", logprob, "bytes",
                     bytes_json(bytes, size));
}

json_t *token_reports_json(const struct tokenizer *t, const struct event *event)
{
    json_t *list = json_array();
    for (int i = 0; i < event->token_count; i++) {
        const struct token_report *r = &event->tokens[i];
        json_t *top = json_array();
        for (int k = 0; k < r->top_count; k++)
            json_array_append_new(top, token_json(t, &r->top[k]));
        json_t *token = token_json(t, &r->chosen);
        json_object_set_new(token, "top_logprobs", top);
        json_array_append_new(list, token);
    }
    return list;
}
