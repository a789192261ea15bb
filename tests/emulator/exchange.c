#include "exchange.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

/* ---- the request ---- */

const char *argument(const struct exchange *x, const char *name)
{
    for (int i = 0; i < x->argument_count; i++)
        if (!strcmp(x->arguments[i].name, name))
            return x->arguments[i].value;
    return NULL;
}

bool argument_number(const struct exchange *x, const char *name, int64_t *out)
{
    const char *text = argument(x, name);
    char *end;
    if (!text || !*text)
        return false;
    *out = strtoll(text, &end, 10);
    return !*end;
}

const char *request_header(const struct exchange *x, const char *name)
{
    return MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name);
}

const char *bearer_token(const struct exchange *x)
{
    const char *h = request_header(x, "Authorization");
    return h && !strncasecmp(h, "Bearer ", 7) ? h + 7 : NULL;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : isxdigit((unsigned char)c) ? (c | 32) - 'a' + 10 : -1;
}

char *decode_percent(struct arena *a, const char *text, size_t size, bool plus)
{
    char *out = arena_alloc(a, size + 1, 1), *to = out;
    for (size_t i = 0; i < size; i++) {
        int high = text[i] == '%' && i + 2 < size ? hex_digit(text[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
        if (low >= 0) {
            *to++ = (char)(high << 4 | low);
            i += 2;
        } else {
            *to++ = plus && text[i] == '+' ? ' ' : text[i];
        }
    }
    return out;
}

char *encode_percent(struct arena *a, const char *text)
{
    char *out = arena_alloc(a, strlen(text) * 3 + 1, 1), *to = out;
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (isalnum(c) || strchr("-._~", c))
            *to++ = (char)c;
        else
            to += sprintf(to, "%%%02X", c);
    }
    return out;
}

void refuse_invalid(struct exchange *x, const struct err *e)
{
    x->invalid = arena_strndup(x->arena, e->text, strlen(e->text));
    const char *line = arena_printf(x->arena, "%s %s?%s: %s\n", x->method, x->path, x->query, x->invalid);
    if (write(x->service->invalid, line, strlen(line)) < 0)
        perror("emulator: invalid");
    if (x->answer.status)
        return;
    if (e->kind == ERR_NOT_FOUND)
        fail_json(x, 404, "notFound", "%s", x->invalid);
    else
        fail_json(x, 400, "badRequest", "%s", x->invalid);
}

json_t *body_json(struct exchange *x)
{
    if (!x->body.size)
        return json_object();
    json_t *j = json_loadb(x->body.bytes, x->body.size, 0, NULL);
    if (json_is_object(j))
        return j;
    json_decref(j);
    return NULL;
}

void body_to_blob(struct exchange *x)
{
    struct world *w = x->service->world;
    world_lock(w);
    x->body.blob = blob_new_locked(w);
    world_unlock(w);
    x->body.sink = SINK_BLOB;
    x->body.fd = blob_open(w, x->body.blob, O_WRONLY);
}

/* ---- the answer ---- */

static void set_header(struct exchange *x, const char *name, const char *value)
{
    struct answer *a = &x->answer;
    if (a->header_count < MAX_REPLY_HEADERS)
        a->headers[a->header_count++] = (struct pair){name, value};
}

__attribute__((format(printf, 2, 0))) static const char *print(struct exchange *x, const char *format,
                                                               va_list args)
{
    char text[4096];
    vsnprintf(text, sizeof text, format, args);
    return arena_strndup(x->arena, text, strlen(text));
}

void answer_header(struct exchange *x, const char *name, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    set_header(x, name, print(x, format, args));
    va_end(args);
}

void answer_empty(struct exchange *x, int status)
{
    if (!x->answer.status)
        x->answer.status = status;
}

void answer_text(struct exchange *x, int status, const char *type, const char *text)
{
    if (x->answer.status)
        return;
    x->answer.status = status;
    x->answer.size = strlen(text);
    x->answer.memory = arena_strndup(x->arena, text, strlen(text));
    set_header(x, "Content-Type", type);
}

void answer_json(struct exchange *x, int status, json_t *body)
{
    char *text = json_dumps(body, JSON_INDENT(2) | JSON_ENCODE_ANY);
    answer_text(x, status, "application/json; charset=UTF-8", text ? text : "{}");
    free(text);
    json_decref(body);
}

void fail_json(struct exchange *x, int status, const char *reason, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *message = print(x, format, args);
    va_end(args);
    if (status == 401)
        set_header(x, "WWW-Authenticate", "Bearer realm=\"https://accounts.google.com/\"");
    answer_json(x, status,
                json_pack("{s:{s:i,s:s,s:[{s:s,s:s,s:s}]}}", "error", "code", status, "message", message,
                          "errors", "message", message, "domain", "global", "reason", reason));
}

void fail_xml(struct exchange *x, int status, const char *code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *message = print(x, format, args);
    va_end(args);
    answer_text(
        x, status, "application/xml; charset=UTF-8",
        arena_printf(x->arena,
                     "<?xml version='1.0' encoding='UTF-8'?><Error><Code>%s</Code><Message>%s</Message>"
                     "</Error>",
                     code, message));
}

/* ---- ranges ---- */

enum range { RANGE_NONE, RANGE_GOOD, RANGE_OUTSIDE };

/* "bytes=a-b", "bytes=a-", "bytes=-n" (RFC 9110, 14.1.2); anything else is as if it were not there. */
static enum range read_range(const char *text, uint64_t total, uint64_t *begin, uint64_t *size)
{
    char *end;
    if (!text || strncmp(text, "bytes=", 6) || strchr(text, ','))
        return RANGE_NONE;
    text += 6;
    if (*text == '-') {
        uint64_t n = strtoull(text + 1, &end, 10);
        if (end == text + 1 || *end)
            return RANGE_NONE;
        *size = n < total ? n : total;
        *begin = total - *size;
        return *size ? RANGE_GOOD : RANGE_OUTSIDE;
    }
    *begin = strtoull(text, &end, 10);
    if (end == text || *end != '-')
        return RANGE_NONE;
    uint64_t last = end[1] ? strtoull(end + 1, &end, 10) : (end++, UINT64_MAX);
    if (*end || last < *begin)
        return RANGE_NONE;
    if (*begin >= total)
        return RANGE_OUTSIDE;
    *size = (last < total ? last + 1 : total) - *begin;
    return RANGE_GOOD;
}

/* What of the pieces lies in [begin, begin + size). */
static void take_pieces(struct exchange *x, const struct piece *pieces, int count, uint64_t begin,
                        uint64_t size)
{
    struct answer *a = &x->answer;
    uint64_t at = 0, end = begin + size;
    a->pieces = arena_alloc(x->arena, (size_t)count + 1, sizeof *a->pieces);
    for (int i = 0; i < count; at += pieces[i].size, i++) {
        uint64_t from = at > begin ? at : begin, to = at + pieces[i].size < end ? at + pieces[i].size : end;
        if (from >= to)
            continue;
        struct piece *p = &a->pieces[a->piece_count++];
        *p = pieces[i];
        p->offset += from - at;
        p->size = to - from;
    }
}

void answer_bytes(struct exchange *x, const struct piece *pieces, int count, uint64_t total)
{
    uint64_t begin = 0, size = total;
    if (x->answer.status)
        return;
    const char *range = fault_is(x->fault, "ignore_range") ? NULL : request_header(x, "Range");
    switch (read_range(range, total, &begin, &size)) {
    case RANGE_OUTSIDE:
        answer_header(x, "Content-Range", "bytes */%llu", (unsigned long long)total);
        fail_xml(x, 416, "InvalidRange", "The requested range cannot be satisfied.");
        return;
    case RANGE_GOOD:
        answer_header(x, "Content-Range", "bytes %llu-%llu/%llu", (unsigned long long)begin,
                      (unsigned long long)(begin + size - 1), (unsigned long long)total);
        x->answer.status = 206;
        break;
    case RANGE_NONE:
        x->answer.status = 200;
    }
    answer_header(x, "Accept-Ranges", "bytes");
    take_pieces(x, pieces, count, begin, size);
    x->answer.size = size;
}

/* ---- time ---- */

char *time_text(struct arena *a, int64_t us)
{
    char text[40];
    time_t seconds = (time_t)(us / 1000000);
    struct tm t;
    gmtime_r(&seconds, &t);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &t);
    return arena_printf(a, "%s.%03dZ", text, (int)(us / 1000 % 1000));
}

char *time_http(struct arena *a, int64_t seconds)
{
    char text[40];
    time_t at = (time_t)seconds;
    struct tm t;
    gmtime_r(&at, &t);
    strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &t);
    return arena_strndup(a, text, strlen(text));
}
