/* api_error.h: an error as an OpenAI client sees it: {"error":{"message","type","param","code"}} and a
 * status.
 *
 * Made where the fact is known (request.c: "temperature: …"), carried through prepare and scheduler, written
 * by the HTTP side. ask.c prints err.text and looks no further. */
#ifndef FERRY_SERVE_API_ERROR_H
#define FERRY_SERVE_API_ERROR_H

#include "base/err.h"

struct api_error {
    struct err err;   /* the message, and the kind that decides the status unless one is set */
    int status;       /* 0: by kind */
    char param[96];   /* the field it is about: "messages[0].content[1].input_audio.data"; "": none */
    const char *code; /* a constant such as "model_not_found"; NULL: by kind, or none */
};

/* State that a field cannot be taken as it is: kind, where, what. Always false. */
bool api_refuse(struct api_error *e, enum err_kind kind, const char *param, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

int api_error_status(const struct api_error *e);
const char *api_error_type(const struct api_error *e); /* "invalid_request_error", "server_error", … */
const char *api_error_code(const struct api_error *e); /* NULL: none */

#endif
