/* questions.h: what benches ask a service: a text, with a recording of a tone in front of it or without. */
#ifndef FERRY_BENCH_QUESTIONS_H
#define FERRY_BENCH_QUESTIONS_H

#include <stdbool.h>

struct question {
    const char *text;     /* no character that JSON escapes */
    double audio_seconds; /* 0: text alone */
};

/* The body of a chat completion, from malloc; with stream its usage is asked for, too. NULL without memory.
 */
char *question_body(const struct question *q, const char *model, int max_tokens, bool stream);

#endif
