#include "target/registry/challenge.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

/* One "name=value", both copied, with quotes and backslashes taken away; cut values become "". */
struct parameter {
    char name[40], value[1024];
};

static bool in_token(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static const char *skip_blanks(const char *p)
{
    while (*p == ' ' || *p == '\t')
        p++;
    return p;
}

static const char *take_token(const char *p, char *out, size_t room)
{
    size_t n = 0;
    for (; in_token(*p); p++, n++) {
        if (n + 1 < room)
            out[n] = *p;
    }
    out[n < room ? n : 0] = 0;
    return p;
}

/* Behind the closing quote, or at the end of the text. */
static const char *take_quoted(const char *p, char *out, size_t room)
{
    size_t n = 0;
    for (p++; *p && *p != '"'; p++, n++) {
        if (*p == '\\' && p[1])
            p++;
        if (n + 1 < room)
            out[n] = *p;
    }
    out[n < room ? n : 0] = 0;
    return *p ? p + 1 : p;
}

/* A parameter at p; NULL: there is none, but maybe the next scheme. */
static const char *take_parameter(const char *p, struct parameter *out)
{
    p = take_token(p, out->name, sizeof out->name);
    p = skip_blanks(p);
    if (*p != '=')
        return NULL;
    p = skip_blanks(p + 1);
    if (*p == '"')
        return take_quoted(p, out->value, sizeof out->value);
    return take_token(p, out->value, sizeof out->value);
}

static void keep(struct challenge *c, const struct parameter *p)
{
    if (strcasecmp(p->name, "realm") == 0)
        memcpy(c->realm, p->value, strlen(p->value) + 1);
    if (strcasecmp(p->name, "service") == 0 && strlen(p->value) < sizeof c->service)
        memcpy(c->service, p->value, strlen(p->value) + 1);
}

static enum challenge_scheme scheme_of(const char *name)
{
    return strcasecmp(name, "Bearer") == 0  ? CHALLENGE_BEARER
           : strcasecmp(name, "Basic") == 0 ? CHALLENGE_BASIC
                                            : CHALLENGE_NONE;
}

/* One scheme with its parameters, up to where the next begins. */
static const char *take_challenge(const char *p, struct challenge *out)
{
    char name[40];
    struct parameter one;
    *out = (struct challenge){0};
    p = skip_blanks(take_token(p, name, sizeof name));
    out->scheme = scheme_of(name);
    for (const char *next; (next = take_parameter(p, &one));) {
        keep(out, &one);
        p = skip_blanks(next);
        if (*p != ',')
            break;
        while (*p == ',')
            p = skip_blanks(p + 1);
    }
    return p;
}

void challenge_parse(const char *text, struct challenge *out)
{
    *out = (struct challenge){0};
    while (*(text = skip_blanks(text))) {
        struct challenge one;
        const char *next = take_challenge(text, &one);
        if (one.scheme == CHALLENGE_BEARER && !one.realm[0])
            one.scheme = CHALLENGE_NONE; /* nobody to ask for a token */
        if (one.scheme > out->scheme)
            *out = one;
        text = next > text ? next : text + 1; /* a character that has no place there */
    }
}

void challenge_find(const char *headers, struct challenge *out)
{
    static const char name[] = "www-authenticate: ";
    *out = (struct challenge){0};
    for (const char *line = headers; *line;) {
        size_t size = strcspn(line, "\n");
        char value[4096];
        struct challenge one;
        if (size > sizeof name - 1 && size < sizeof value && strncmp(line, name, sizeof name - 1) == 0) {
            memcpy(value, line + sizeof name - 1, size - (sizeof name - 1));
            value[size - (sizeof name - 1)] = 0;
            challenge_parse(value, &one);
            if (one.scheme > out->scheme)
                *out = one;
        }
        line += size + (line[size] == '\n');
    }
}
