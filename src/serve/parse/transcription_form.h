/* transcription_form.h: the fields of POST /v1/audio/transcriptions, checked. */
#ifndef FERRY_SERVE_PARSE_TRANSCRIPTION_FORM_H
#define FERRY_SERVE_PARSE_TRANSCRIPTION_FORM_H

#include "serve/api_error.h"

#include <stdbool.h>
#include <stddef.h>

enum transcript_format { TRANSCRIPT_JSON, TRANSCRIPT_TEXT, TRANSCRIPT_VERBOSE_JSON };

struct transcription_request {
    const void *file; /* points into the values */
    size_t file_size;
    const char *prompt; /* NULL: the default; else prompt_size bytes of UTF-8 */
    size_t prompt_size;
    char language[32]; /* "": not given */
    enum transcript_format format;
    float temperature; /* 0: greedy */
    bool stream;
    bool logprobs; /* include[]=logprobs */
};

/* One field as it stands in the form; names of lists may end in []. */
struct form_value {
    const char *name;
    const char *data;
    size_t size;
};

/* model: the only accepted name. False with *e set, param naming the field. */
bool transcription_request_read(struct transcription_request *r, const struct form_value *values, int count,
                                const char *model, struct api_error *e);

#endif
