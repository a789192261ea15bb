#include "net/parse/headers.h"

#include <stdio.h>
#include <string.h>

static bool in_token(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static size_t token_length(const char *text, size_t size)
{
    size_t n = 0;
    while (n < size && in_token(text[n]))
        n++;
    return n;
}

static bool is_control(char c)
{
    return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7f;
}

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void append(char *out, size_t room, const char *name, size_t name_size, const char *value,
                   size_t value_size)
{
    size_t used = strlen(out);
    if (used + name_size + value_size + sizeof ": \n" > room)
        return;
    for (size_t i = 0; i < name_size; i++)
        out[used++] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] + 'a' - 'A') : name[i];
    out[used++] = ':';
    out[used++] = ' ';
    for (size_t i = 0; i < value_size; i++)
        out[used++] = is_control(value[i]) ? ' ' : value[i];
    out[used++] = '\n';
    out[used] = 0;
}

void headers_add(char *out, size_t room, const char *line, size_t size)
{
    if (size >= 5 && memcmp(line, "HTTP/", 5) == 0) {
        out[0] = 0;
        return;
    }
    size_t name_size = token_length(line, size);
    if (name_size == 0 || name_size == size || line[name_size] != ':')
        return;
    const char *value = line + name_size + 1;
    size -= name_size + 1;
    while (size && blank(*value))
        value++, size--;
    while (size && blank(value[size - 1]))
        size--;
    append(out, room, line, name_size, value, size);
}

const char *headers_find(const char *headers, const char *name, char *out, size_t room)
{
    size_t n = strlen(name);
    for (const char *line = headers; *line;) {
        size_t size = strcspn(line, "\n");
        if (size >= n + 2 && memcmp(line, name, n) == 0 && memcmp(line + n, ": ", 2) == 0) {
            snprintf(out, room, "%.*s", (int)(size - n - 2), line + n + 2);
            return out;
        }
        line += size + (line[size] == '\n');
    }
    return NULL;
}

bool header_sendable(const char *name, const char *value)
{
    size_t n = strlen(name);
    if (n == 0 || token_length(name, n) != n)
        return false;
    for (const char *c = value; *c; c++) {
        if (is_control(*c))
            return false;
    }
    return true;
}
