#include "engine/text/json_map.h"

#include "engine/text/utf8_piece.h"

#include <limits.h>
#include <stdint.h>
#include <string.h>

void json_map_init(struct json_map *m, const char *text, size_t size)
{
    m->text = text;
    m->size = size;
    m->at = 0;
    m->key_size = 0;
    m->value = 0;
}

static bool expected(const struct json_map *m, const char *what, struct err *e)
{
    return err_set(e, ERR_CORRUPT, "byte %zu: expected %s", m->at, what);
}

static int peek(const struct json_map *m)
{
    return m->at < m->size ? (unsigned char)m->text[m->at] : -1;
}

static void skip_spaces(struct json_map *m)
{
    while (m->at < m->size && memchr(" \t\r\n", m->text[m->at], 4))
        m->at++;
}

/* Spaces, then this character. */
static bool take(struct json_map *m, char c)
{
    skip_spaces(m);
    if (peek(m) != c)
        return false;
    m->at++;
    return true;
}

static bool put_bytes(struct json_map *m, const char *bytes, size_t n, struct err *e)
{
    if (n > sizeof m->key - m->key_size)
        return err_set(e, ERR_LIMIT, "byte %zu: a key over %d bytes, expected a token", m->at,
                       JSON_MAP_MAX_KEY);
    memcpy(m->key + m->key_size, bytes, n);
    m->key_size += n;
    return true;
}

static bool put_code(struct json_map *m, unsigned code, struct err *e)
{
    char s[4];
    if (code < 0x80)
        return put_bytes(m, (s[0] = (char)code, s), 1, e);
    size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, code >>= 6)
        s[i] = (char)(0x80 | (code & 0x3f));
    s[0] = (char)((0xf00u >> n & 0xf0u) | code); /* 0xc0, 0xe0, 0xf0 */
    return put_bytes(m, s, n, e);
}

static bool take_hex4(struct json_map *m, unsigned *out, struct err *e)
{
    *out = 0;
    for (int i = 0; i < 4; i++, m->at++) {
        int c = peek(m);
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (c >= 'A' && c <= 'F')
            digit = c - 'A' + 10;
        if (digit < 0)
            return expected(m, "four hexadecimal digits", e);
        *out = *out << 4 | (unsigned)digit;
    }
    return true;
}

/* Behind "\u": one code point, from a pair of surrogates where it needs one (RFC 8259, 7). */
static bool take_unicode(struct json_map *m, struct err *e)
{
    unsigned high, low;
    if (!take_hex4(m, &high, e))
        return false;
    if (high < 0xd800 || high > 0xdfff)
        return put_code(m, high, e);
    if (high > 0xdbff || m->size - m->at < 2 || memcmp(m->text + m->at, "\\u", 2) != 0)
        return expected(m, "a pair of surrogates", e);
    m->at += 2;
    if (!take_hex4(m, &low, e))
        return false;
    if (low < 0xdc00 || low > 0xdfff)
        return expected(m, "the second of a pair of surrogates", e);
    return put_code(m, 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00), e);
}

static bool take_escape(struct json_map *m, struct err *e)
{
    static const char names[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    int c = peek(m);
    const char *found = c > 0 ? strchr(names, c) : NULL;
    if (c == 'u') {
        m->at++;
        return take_unicode(m, e);
    }
    if (!found)
        return expected(m, "an escape of JSON", e);
    m->at++;
    return put_bytes(m, meant + (found - names), 1, e);
}

/* Everything up to the next quote or backslash as it stands. */
static bool take_plain(struct json_map *m, struct err *e)
{
    size_t begin = m->at;
    while (m->at < m->size && m->text[m->at] != '"' && m->text[m->at] != '\\') {
        if ((unsigned char)m->text[m->at] < 0x20)
            return expected(m, "no control character in a string", e);
        m->at++;
    }
    size_t n = m->at - begin;
    if (utf8_valid((const unsigned char *)m->text + begin, n) != n)
        return expected(m, "valid UTF-8 before it", e);
    return put_bytes(m, m->text + begin, n, e);
}

static bool take_key(struct json_map *m, struct err *e)
{
    m->key_size = 0;
    if (!take(m, '"'))
        return expected(m, "a string in quotes", e);
    for (;;) {
        if (!take_plain(m, e))
            return false;
        if (m->at == m->size)
            return expected(m, "the end of the string", e);
        if (m->text[m->at++] == '"')
            return true;
        if (!take_escape(m, e))
            return false;
    }
}

static bool take_number(struct json_map *m, struct err *e)
{
    skip_spaces(m);
    size_t begin = m->at;
    int64_t value = 0;
    while (peek(m) >= '0' && peek(m) <= '9' && value <= INT_MAX)
        value = value * 10 + (m->text[m->at++] - '0');
    if (m->at == begin || value > INT_MAX || (m->text[begin] == '0' && m->at - begin > 1))
        return expected(m, "a whole number from 0 to 2147483647", e);
    m->value = (int)value;
    return true;
}

static bool take_entry(struct json_map *m, struct err *e)
{
    if (!take_key(m, e))
        return false;
    if (!take(m, ':'))
        return expected(m, "a colon", e);
    return take_number(m, e);
}

static enum json_map_step finish(struct json_map *m, struct err *e)
{
    skip_spaces(m);
    if (m->at == m->size)
        return JSON_MAP_END;
    expected(m, "nothing behind the closing brace", e);
    return JSON_MAP_BAD;
}

enum json_map_step json_map_next(struct json_map *m, struct err *e)
{
    bool first = m->at == 0;
    if (first && !take(m, '{')) {
        expected(m, "an opening brace", e);
        return JSON_MAP_BAD;
    }
    if (take(m, '}'))
        return finish(m, e);
    if (!first && !take(m, ',')) {
        expected(m, "a comma or the closing brace", e);
        return JSON_MAP_BAD;
    }
    return take_entry(m, e) ? JSON_MAP_ENTRY : JSON_MAP_BAD;
}
