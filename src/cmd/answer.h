/* answer.h: the answer to `ferry ask` on its way to the terminal, whether it comes from an engine in this
 * process or over HTTP.
 *
 * Text goes to stdout as it comes; with --json one object at the end instead. Statistics and warnings go to
 * stderr. Zeroed and given its options by answer_open. One thread. */
#ifndef FERRY_CMD_ANSWER_H
#define FERRY_CMD_ANSWER_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct answer {
    FILE *out; /* stdout, or the memory that text points to */
    char *text;
    size_t text_size;
    bool json, stats;
    bool quiet; /* warnings are nobody's business: set after answer_open */
    bool tame;  /* a terminal reads along: control characters, which could command it, are not passed on */
    char last;  /* last byte written, to end the terminal's line */

    double start_ms, first_ms, last_ms; /* asked, first and last text; first_ms 0: none came */
    char model[256];
    char finish[24]; /* "stop", "length"; "" while it runs */
    int prompt_tokens, audio_tokens, completion_tokens;
};

/* The clock starts here. stats: say how fast it was, even when stderr is no terminal. */
bool answer_open(struct answer *a, bool json, bool stats, struct err *e);

bool answer_text(struct answer *a, const char *text, size_t size, struct err *e);

/* Length of the part at the beginning without control characters (C0 but tab and newline, DEL, C1). */
size_t answer_tame(const char *text, size_t size);

/* "ferry: warning: …" on stderr. */
void answer_warning(const struct answer *a, const char *text);

/* Tokens behind the first, over the time since the first: what a reader feels. 0 when there are too few. */
double answer_tokens_per_second(const struct answer *a);

/* Ends the line, prints the JSON object or the statistics. */
bool answer_end(struct answer *a, struct err *e);

/* After answer_end, or instead of it when the answer was cut: ends the terminal's line, frees. */
void answer_close(struct answer *a);

#endif
