#include "serve/parse/multipart.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* What is left to read. */
struct cursor {
    const char *at, *end;
};

static size_t left(const struct cursor *c)
{
    return (size_t)(c->end - c->at);
}

static bool skip(struct cursor *c, const char *s, size_t size)
{
    if (left(c) < size || memcmp(c->at, s, size) != 0)
        return false;
    c->at += size;
    return true;
}

static void skip_blanks(struct cursor *c)
{
    while (left(c) > 0 && (*c->at == ' ' || *c->at == '\t'))
        c->at++;
}

/* Everything before s, which is passed too. False: there is no s. */
static bool take_until(struct cursor *c, const char *s, size_t size, struct cursor *taken)
{
    const char *found = memmem(c->at, left(c), s, size);
    if (!found)
        return false;
    *taken = (struct cursor){c->at, found};
    c->at = found + size;
    return true;
}

/* A parameter's value, quoted or not; the next one is searched from there on. False: too long, not closed. */
static bool take_value(struct cursor *c, char *out, size_t room)
{
    struct cursor value;
    if (skip(c, "\"", 1)) {
        if (!take_until(c, "\"", 1, &value))
            return false;
    } else {
        value.at = c->at;
        while (left(c) > 0 && *c->at != ';' && !isspace((unsigned char)*c->at))
            c->at++;
        value.end = c->at;
    }
    if (left(&value) >= room || memchr(value.at, '\0', left(&value)))
        return false;
    memcpy(out, value.at, left(&value));
    out[left(&value)] = '\0';
    return true;
}

/* name="…" of a header's parameters, whatever the case of the name. False: absent, too long, not closed. */
static bool find_parameter(struct cursor c, const char *name, char *out, size_t room)
{
    char ignored[1024];
    struct cursor before;
    while (take_until(&c, ";", 1, &before)) {
        skip_blanks(&c);
        size_t n = strlen(name);
        bool here = left(&c) > n && strncasecmp(c.at, name, n) == 0 && c.at[n] == '=';
        while (left(&c) > 0 && *c.at != '=' && *c.at != ';')
            c.at++;
        if (!skip(&c, "=", 1))
            continue;
        if (here)
            return take_value(&c, out, room);
        if (!take_value(&c, ignored, sizeof ignored))
            return false;
    }
    return false;
}

bool multipart_boundary(const char *content_type, char boundary[MULTIPART_BOUNDARY])
{
    struct cursor c = {content_type, content_type + strlen(content_type)};
    return find_parameter(c, "boundary", boundary, MULTIPART_BOUNDARY) && *boundary;
}

/* The headers of a part up to the empty line: only the name in Content-Disposition matters. */
static bool read_headers(struct cursor *c, struct multipart_part *p, int number, struct err *e)
{
    static const char disposition[] = "content-disposition:";
    struct cursor line;
    *p->name = '\0';
    while (!skip(c, "\r\n", 2)) {
        if (!take_until(c, "\r\n", 2, &line))
            return err_set(e, ERR_CORRUPT, "form part %d: its headers have no end", number);
        size_t n = sizeof disposition - 1;
        if (left(&line) < n || strncasecmp(line.at, disposition, n) != 0)
            continue;
        if (!find_parameter(line, "name", p->name, sizeof p->name))
            return err_set(e, ERR_CORRUPT,
                           "form part %d: Content-Disposition has no name, or one over %d bytes", number,
                           MULTIPART_NAME - 1);
    }
    return *p->name || err_set(e, ERR_CORRUPT, "form part %d: no Content-Disposition with a name", number);
}

/* After a boundary: the next part follows, or with -- the end. */
static bool read_boundary_line(struct cursor *c, bool *end, int number, struct err *e)
{
    *end = skip(c, "--", 2);
    skip_blanks(c);
    return *end || skip(c, "\r\n", 2) ||
           err_set(e, ERR_CORRUPT, "form part %d: its boundary line does not end", number);
}

bool multipart_parse(const char *body, size_t size, const char *boundary, struct multipart_part *parts,
                     int *count, struct err *e)
{
    char delimiter[MULTIPART_BOUNDARY + 4];
    int n = snprintf(delimiter, sizeof delimiter, "\r\n--%s", boundary);
    struct cursor c = {body, body + size}, value;
    bool end;
    *count = 0;
    /* the first delimiter may lack the line break that belongs to it */
    if (!skip(&c, delimiter + 2, (size_t)n - 2) && !take_until(&c, delimiter, (size_t)n, &value))
        return err_set(e, ERR_CORRUPT, "the body does not have the boundary that Content-Type names");
    if (!read_boundary_line(&c, &end, 1, e))
        return false;
    while (!end) {
        if (*count == MULTIPART_MAX_PARTS)
            return err_set(e, ERR_LIMIT, "more than %d form parts", MULTIPART_MAX_PARTS);
        struct multipart_part *p = &parts[*count];
        if (!read_headers(&c, p, *count + 1, e))
            return false;
        if (!take_until(&c, delimiter, (size_t)n, &value))
            return err_set(e, ERR_CORRUPT, "form part %s: no boundary behind it: was the body cut?", p->name);
        p->data = value.at;
        p->size = left(&value);
        if (!read_boundary_line(&c, &end, ++*count + 1, e))
            return false;
    }
    return true;
}
