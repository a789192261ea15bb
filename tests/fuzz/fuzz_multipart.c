/* A line of Content-Type, then a form: parts lie in order within the body, what they say of a transcription
 * is taken or refused with a message. */
#include "serve/parse/multipart.h"
#include "serve/parse/transcription_form.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_form(const char *body, size_t size, const char *boundary)
{
    struct multipart_part parts[MULTIPART_MAX_PARTS];
    struct form_value values[MULTIPART_MAX_PARTS];
    struct transcription_request r;
    struct api_error e = {0};
    int count;
    if (!multipart_parse(body, size, boundary, parts, &count, &e.err)) {
        if (e.err.kind == ERR_NONE || !*e.err.text)
            abort();
        return;
    }
    const char *from = body;
    for (int i = 0; i < count; i++) {
        if (parts[i].data < from || parts[i].size > (size_t)(body + size - parts[i].data))
            abort();
        from = parts[i].data + parts[i].size;
        values[i] = (struct form_value){parts[i].name, parts[i].data, parts[i].size};
    }
    if (!transcription_request_read(&r, values, count, "m", &e) && (e.err.kind == ERR_NONE || !*e.err.text))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *line_end = size ? memchr(data, '\n', size) : NULL;
    char boundary[MULTIPART_BOUNDARY];
    if (!line_end)
        return 0;
    size_t head = (size_t)(line_end - data), rest = size - head - 1;
    char *type = calloc(1, head + 1), *body = malloc(rest + 1);
    if (!type || !body)
        abort();
    memcpy(type, data, head);
    memcpy(body, line_end + 1, rest);
    if (multipart_boundary(type, boundary))
        read_form(body, rest, boundary);
    free(type);
    free(body);
    return 0;
}
