#include "target/local/message.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* --- the head --- */

size_t message_head_size(const char *bytes, size_t size)
{
    const char *end = memmem(bytes, size, "\r\n\r\n", 4);
    return end ? (size_t)(end - bytes) + 4 : 0;
}

struct text {
    const char *at;
    size_t size;
};

static bool is(struct text t, const char *word)
{
    return strlen(word) == t.size && strncasecmp(t.at, word, t.size) == 0;
}

/* RFC 9110's token: what methods and names are made of. */
static bool is_token(struct text t)
{
    for (size_t i = 0; i < t.size; i++)
        if (!isalnum((unsigned char)t.at[i]) && !memchr("!#$%&'*+-.^_`|~", t.at[i], 15))
            return false;
    return t.size > 0;
}

/* Without its line break; *head goes on behind it. A line break is CR LF and nothing else. */
static bool next_line(struct text *head, struct text *line, struct err *e)
{
    const char *end = memmem(head->at, head->size, "\r\n", 2);
    if (!end)
        return err_set(e, ERR_CORRUPT, "the head does not end");
    *line = (struct text){head->at, (size_t)(end - head->at)};
    head->at = end + 2;
    head->size -= line->size + 2;
    if (memchr(line->at, '\n', line->size) || memchr(line->at, '\r', line->size) ||
        memchr(line->at, '\0', line->size))
        return err_set(e, ERR_CORRUPT, "a line of the head has a control character in it");
    return true;
}

static struct text trim(struct text t)
{
    while (t.size && (*t.at == ' ' || *t.at == '\t'))
        t.at++, t.size--;
    while (t.size && (t.at[t.size - 1] == ' ' || t.at[t.size - 1] == '\t'))
        t.size--;
    return t;
}

/* The next of "a, b, c". */
static bool next_item(struct text *list, struct text *item)
{
    if (list->size == 0)
        return false;
    const char *comma = memchr(list->at, ',', list->size);
    size_t n = comma ? (size_t)(comma - list->at) : list->size;
    *item = trim((struct text){list->at, n});
    list->at += n + (comma ? 1 : 0);
    list->size -= n + (comma ? 1 : 0);
    return true;
}

/* What the headers say of framing and of the connection. */
struct headers {
    bool length, chunked, close, keep_alive, go_on;
    uint64_t length_value;
};

static bool take_length(struct headers *h, struct text value, struct err *e)
{
    uint64_t n = 0;
    if (h->length)
        return err_set(e, ERR_CORRUPT, "Content-Length is there twice");
    for (size_t i = 0; i < value.size; i++) {
        if (!isdigit((unsigned char)value.at[i]))
            return err_set(e, ERR_CORRUPT, "Content-Length is no number");
        n = n * 10 + (uint64_t)(value.at[i] - '0');
    }
    if (value.size == 0 || value.size > 18)
        return err_set(e, ERR_CORRUPT, "Content-Length is no number that can be");
    h->length = true;
    h->length_value = n;
    return true;
}

static bool take_coding(struct headers *h, struct text value, struct err *e)
{
    if (h->chunked || !is(value, "chunked"))
        return err_set(e, ERR_UNSUPPORTED, "Transfer-Encoding: expected chunked, once");
    h->chunked = true;
    return true;
}

static void take_connection(struct headers *h, struct text value)
{
    struct text item;
    while (next_item(&value, &item)) {
        h->close = h->close || is(item, "close");
        h->keep_alive = h->keep_alive || is(item, "keep-alive");
    }
}

static bool take_header(struct headers *h, struct text line, struct err *e)
{
    const char *colon = memchr(line.at, ':', line.size);
    struct text name = {line.at, colon ? (size_t)(colon - line.at) : 0};
    if (!is_token(name))
        return err_set(e, ERR_CORRUPT, "a header has no proper name");
    struct text value = trim((struct text){colon + 1, line.size - name.size - 1});
    if (is(name, "Content-Length"))
        return take_length(h, value, e);
    if (is(name, "Transfer-Encoding"))
        return take_coding(h, value, e);
    if (is(name, "Connection"))
        take_connection(h, value);
    h->go_on = h->go_on || (is(name, "Expect") && is(value, "100-continue"));
    return true;
}

/* The lines behind the first one, to the empty one. */
static bool take_headers(struct text head, struct headers *h, struct err *e)
{
    struct text line;
    *h = (struct headers){0};
    do {
        if (!next_line(&head, &line, e) || (line.size && !take_header(h, line, e)))
            return false;
    } while (line.size);
    if (h->length && h->chunked)
        return err_set(e, ERR_CORRUPT, "Content-Length and Transfer-Encoding are both there");
    return true;
}

static struct framing framing_of(const struct headers *h, enum framing_kind otherwise)
{
    if (h->chunked)
        return (struct framing){.kind = FRAMING_CHUNKED};
    if (h->length)
        return (struct framing){.kind = FRAMING_LENGTH, .left = h->length_value};
    return (struct framing){.kind = otherwise};
}

static bool is_version(struct text t)
{
    return t.size == 8 && memcmp(t.at, "HTTP/1.", 7) == 0 && (t.at[7] == '0' || t.at[7] == '1');
}

/* "POST /v1/x?y HTTP/1.1" in three. */
static bool split_request(struct text line, struct text *method, struct text *target, struct text *version)
{
    const char *a = memchr(line.at, ' ', line.size);
    const char *b = memrchr(line.at, ' ', line.size);
    if (!a || a == b)
        return false;
    *method = (struct text){line.at, (size_t)(a - line.at)};
    *target = (struct text){a + 1, (size_t)(b - a - 1)};
    *version = (struct text){b + 1, line.size - (size_t)(b + 1 - line.at)};
    return is_token(*method) && target->size > 0 && !memchr(target->at, ' ', target->size);
}

bool message_request(const char *bytes, size_t size, struct request_head *h, struct err *e)
{
    struct text head = {bytes, size}, line, method, target, version;
    struct headers found;
    if (!next_line(&head, &line, e))
        return false;
    if (!split_request(line, &method, &target, &version))
        return err_set(e, ERR_CORRUPT, "the first line is no HTTP request");
    if (!is_version(version))
        return err_set(e, ERR_UNSUPPORTED, "expected HTTP/1.1 or HTTP/1.0");
    if (!take_headers(head, &found, e))
        return false;
    bool old = version.at[7] == '0';
    const char *query = memchr(target.at, '?', target.size);
    *h = (struct request_head){
        .head = method.size == 4 && memcmp(method.at, "HEAD", 4) == 0,
        .get = method.size == 3 && memcmp(method.at, "GET", 3) == 0,
        .keep_alive = old ? found.keep_alive && !found.close : !found.close,
        .asks_to_go_on = found.go_on && !old,
        .path = target.at,
        .path_size = query ? (size_t)(query - target.at) : target.size,
        .body = framing_of(&found, FRAMING_NONE),
    };
    return true;
}

bool message_reply(const char *bytes, size_t size, bool to_head, struct reply_head *h, struct err *e)
{
    struct text head = {bytes, size}, line;
    struct headers found;
    if (!next_line(&head, &line, e))
        return false;
    bool good = line.size >= 12 && is_version((struct text){line.at, 8}) && line.at[8] == ' ';
    for (int i = 9; good && i < 12; i++)
        good = isdigit((unsigned char)line.at[i]);
    if (!good)
        return err_set(e, ERR_CORRUPT, "the first line is no HTTP reply");
    if (!take_headers(head, &found, e))
        return false;
    int status = (line.at[9] - '0') * 100 + (line.at[10] - '0') * 10 + (line.at[11] - '0');
    bool empty = to_head || status < 200 || status == 204 || status == 304;
    *h = (struct reply_head){
        .status = status,
        .body = empty ? (struct framing){.kind = FRAMING_NONE} : framing_of(&found, FRAMING_UNTIL_CLOSE),
    };
    h->keep_alive = (line.at[7] == '0' ? found.keep_alive && !found.close : !found.close) &&
                    h->body.kind != FRAMING_UNTIL_CLOSE;
    return true;
}

/* --- the body --- */

/* SIZE[;EXTENSION] CR LF bytes CR LF …, 0 CR LF, trailers, CR LF. */
enum chunk_state {
    CHUNK_SIZE_FIRST,
    CHUNK_SIZE,
    CHUNK_EXTENSION,
    CHUNK_SIZE_LF,
    CHUNK_BYTES,
    CHUNK_CR,
    CHUNK_LF,
    TRAILER_FIRST,
    TRAILER,
    TRAILER_LF,
    LAST_LF,
    CHUNKS_DONE
};

enum { MAX_LINE = 16 << 10 }; /* of an extension, or all trailers */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool broken(struct err *e)
{
    return err_set(e, ERR_CORRUPT, "the body breaks the rules of the chunked coding");
}

static bool take_size_digit(struct framing *f, char c)
{
    int digit = hex_digit(c);
    if (digit < 0 || f->left >> 56)
        return false;
    f->left = f->left * 16 + (uint64_t)digit;
    f->state = CHUNK_SIZE;
    return true;
}

static bool expect(struct framing *f, char c, char expected, enum chunk_state next)
{
    f->state = (int)next;
    return c == expected;
}

/* One byte that is not a chunk's content. */
static bool take_chunk_byte(struct framing *f, char c)
{
    switch ((enum chunk_state)f->state) {
    case CHUNK_SIZE_FIRST:
        return take_size_digit(f, c);
    case CHUNK_SIZE:
        f->state = c == '\r' ? CHUNK_SIZE_LF : c == ';' ? CHUNK_EXTENSION : CHUNK_SIZE;
        return f->state != CHUNK_SIZE || take_size_digit(f, c);
    case CHUNK_EXTENSION:
        f->state = c == '\r' ? CHUNK_SIZE_LF : CHUNK_EXTENSION;
        return c != '\n';
    case CHUNK_SIZE_LF:
        f->line = 0;
        return expect(f, c, '\n', f->left ? CHUNK_BYTES : TRAILER_FIRST);
    case CHUNK_CR:
        return expect(f, c, '\r', CHUNK_LF);
    case CHUNK_LF:
        return expect(f, c, '\n', CHUNK_SIZE_FIRST);
    case TRAILER_FIRST:
        f->state = c == '\r' ? LAST_LF : TRAILER;
        return c != '\n';
    case TRAILER:
        f->state = c == '\r' ? TRAILER_LF : TRAILER;
        return c != '\n';
    case TRAILER_LF:
        return expect(f, c, '\n', TRAILER_FIRST);
    case LAST_LF:
        return expect(f, c, '\n', CHUNKS_DONE);
    case CHUNK_BYTES:
    case CHUNKS_DONE:
        break;
    }
    return false;
}

static size_t take_counted(struct framing *f, size_t size)
{
    size_t n = f->left < size ? (size_t)f->left : size;
    f->left -= n;
    return n;
}

static bool take_chunked(struct framing *f, const char *bytes, size_t size, size_t *taken, struct err *e)
{
    size_t at = 0;
    while (at < size && f->state != CHUNKS_DONE) {
        if (f->state == CHUNK_BYTES) {
            at += take_counted(f, size - at);
            f->state = f->left ? CHUNK_BYTES : CHUNK_CR;
        } else if (++f->line > MAX_LINE || !take_chunk_byte(f, bytes[at++])) {
            return broken(e);
        }
    }
    *taken = at;
    return true;
}

bool framing_take(struct framing *f, const char *bytes, size_t size, size_t *taken, struct err *e)
{
    *taken = 0;
    switch (f->kind) {
    case FRAMING_NONE:
        break;
    case FRAMING_LENGTH:
        *taken = take_counted(f, size);
        break;
    case FRAMING_CHUNKED:
        return take_chunked(f, bytes, size, taken, e);
    case FRAMING_UNTIL_CLOSE:
        *taken = size;
        break;
    }
    return true;
}

bool framing_done(const struct framing *f)
{
    switch (f->kind) {
    case FRAMING_NONE:
        return true;
    case FRAMING_LENGTH:
        return f->left == 0;
    case FRAMING_CHUNKED:
        return f->state == CHUNKS_DONE;
    case FRAMING_UNTIL_CLOSE:
        break;
    }
    return false;
}
