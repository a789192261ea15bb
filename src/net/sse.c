#include "net/sse.h"

#include <stdlib.h>
#include <string.h>

/* Text that grows up to the parser's ceiling, always with a NUL behind it. */
struct text {
    char *bytes;
    size_t size, room;
};

struct sse {
    size_t ceiling;
    sse_fn fn;
    void *arg;
    struct text line, data;
    char name[64]; /* of the event being read; "" means "message" */
    bool has_data; /* a data line was there, perhaps an empty one */
    bool after_cr; /* the last byte was CR: an LF now belongs to it */
    bool begun;    /* past the first line, where a byte order mark may stand */
};

struct sse *sse_new(size_t ceiling, sse_fn fn, void *arg, struct err *e)
{
    struct sse *s = calloc(1, sizeof *s);
    if (!s) {
        err_set(e, ERR_MEMORY, "no memory for an event stream");
        return NULL;
    }
    s->ceiling = ceiling;
    s->fn = fn;
    s->arg = arg;
    return s;
}

void sse_free(struct sse *s)
{
    if (!s)
        return;
    free(s->line.bytes);
    free(s->data.bytes);
    free(s);
}

static bool append(const struct sse *s, struct text *t, const char *bytes, size_t size, struct err *e)
{
    if (size > s->ceiling - t->size)
        return err_set(e, ERR_LIMIT, "event stream: an event of more than %zu bytes", s->ceiling);
    if (t->size + size + 1 > t->room) {
        size_t room = (t->size + size + 1) * 2;
        char *grown = realloc(t->bytes, room);
        if (!grown)
            return err_set(e, ERR_MEMORY, "event stream: no memory for %zu bytes", room);
        t->bytes = grown;
        t->room = room;
    }
    if (size)
        memcpy(t->bytes + t->size, bytes, size);
    t->size += size;
    t->bytes[t->size] = 0;
    return true;
}

/* An empty line: what was gathered is an event, if it has data. */
static bool dispatch(struct sse *s, struct err *e)
{
    bool ok = true;
    if (s->has_data) {
        struct sse_event event = {
            .name = s->name[0] ? s->name : "message", .data = s->data.bytes, .size = s->data.size};
        ok = s->fn(s->arg, &event, e);
    }
    s->data.size = 0;
    s->has_data = false;
    s->name[0] = 0;
    return ok;
}

static bool take_data(struct sse *s, const char *value, size_t size, struct err *e)
{
    if (s->has_data && !append(s, &s->data, "\n", 1, e))
        return false;
    s->has_data = true;
    return append(s, &s->data, value, size, e);
}

static bool end_line(struct sse *s, struct err *e)
{
    const char *line = s->line.bytes ? s->line.bytes : "";
    size_t size = s->line.size;

    s->line.size = 0;
    if (!s->begun && size >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0)
        line += 3, size -= 3;
    s->begun = true;
    if (size == 0)
        return dispatch(s, e);

    const char *colon = memchr(line, ':', size);
    size_t field = colon ? (size_t)(colon - line) : size;
    const char *value = colon ? colon + 1 : line + size;
    size_t value_size = size - (size_t)(value - line);
    if (value_size && *value == ' ')
        value++, value_size--;

    if (field == 4 && memcmp(line, "data", 4) == 0)
        return take_data(s, value, value_size, e);
    if (field == 5 && memcmp(line, "event", 5) == 0 && value_size < sizeof s->name) {
        memcpy(s->name, value, value_size);
        s->name[value_size] = 0;
    }
    return true;
}

bool sse_push(struct sse *s, const char *bytes, size_t size, struct err *e)
{
    while (size) {
        if (s->after_cr && *bytes == '\n') {
            s->after_cr = false;
            bytes++, size--;
            continue;
        }
        s->after_cr = false;
        size_t length = 0;
        while (length < size && bytes[length] != '\n' && bytes[length] != '\r')
            length++;
        if (!append(s, &s->line, bytes, length, e))
            return false;
        if (length == size)
            return true;
        s->after_cr = bytes[length] == '\r';
        bytes += length + 1;
        size -= length + 1;
        if (!end_line(s, e))
            return false;
    }
    return true;
}
