/* What comes over a control socket: a request's line and the environment behind it, or an answer's line. */
#include "target/local/control_message.h"
#include "target/local/environment.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void note_said(void *arg, const char *line)
{
    *(size_t *)arg = strlen(line);
}

static void take_request(const char *line, size_t size)
{
    struct control_request q;
    struct err e = {0};
    if (control_request_parse(&q, line, size, &e))
        check(q.environment_bytes <= ENVIRONMENT_MAX_BYTES && (q.verb == CONTROL_APPLY || !q.spec));
    else
        check(e.text[0] && !q.spec);
    control_request_clear(&q);
}

static void take_answer(const char *line, size_t size)
{
    size_t said = SIZE_MAX;
    struct err e = {0};
    json_t *out = NULL;
    enum control_answer a = control_answer_parse(line, size, note_said, &said, &out, &e);
    check((a == CONTROL_OK) == (out != NULL) && (a == CONTROL_SAID) == (said != SIZE_MAX) &&
          (a == CONTROL_PROBLEM) == (e.kind != ERR_NONE));
    json_decref(out);
}

static void take_environment(const char *bytes, size_t size)
{
    size_t again;
    char **variables = environment_unpack(bytes, size);
    check(variables || (size > 0 && bytes[size - 1] != 0));
    if (!variables)
        return;
    char *packed = environment_pack(variables, &again);
    check(again == size && memcmp(packed, bytes, size) == 0);
    free(packed);
    environment_free(variables);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data, *end = size ? memchr(text, '\n', size) : NULL;
    size_t line = end ? (size_t)(end - text) : size;
    take_request(text, line);
    take_answer(text, line);
    if (end)
        take_environment(end + 1, size - line - 1);
    return 0;
}
