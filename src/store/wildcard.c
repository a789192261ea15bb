#include "base/utf8.h"
#include "store/uri.h"

#include <string.h>

static size_t character(const char *s)
{
    int n = utf8_length(s);
    return n ? (size_t)n : 1; /* what is not UTF-8 goes byte by byte */
}

/* The character's number, good for comparing: UTF-8 sorts like the characters it stands for. */
static unsigned value(const char *s)
{
    unsigned v = 0;
    for (size_t i = 0, n = character(s); i < n; i++)
        v = v << 8 | (unsigned char)s[i];
    return v;
}

/* Behind the "]" of the class that begins at p, or NULL: nothing closes it. A "]" that comes first is one of
 * its characters. */
static const char *class_end(const char *p)
{
    p += 1 + (p[1] == '!' || p[1] == '^');
    const char *end = *p ? strchr(p + 1, ']') : NULL;
    return end ? end + 1 : NULL;
}

static bool in_class(const char *p, const char *end, const char *s)
{
    bool negated = p[1] == '!' || p[1] == '^', found = false;
    unsigned v = value(s);
    for (p += 1 + negated; p < end - 1;) {
        unsigned first = value(p), last = first;
        p += character(p);
        if (*p == '-' && p + 1 < end - 1) {
            last = value(p + 1);
            p += 1 + character(p + 1);
        }
        found |= first <= v && v <= last;
    }
    return found != negated;
}

/* One character of the pattern against one of the name; both move on when they agree. */
static bool step(const char **pattern, const char **name)
{
    const char *p = *pattern, *s = *name, *end = *p == '[' ? class_end(p) : NULL;
    size_t n = character(s), used;
    bool ok;
    if (!*s || !*p)
        return false;
    if (end) {
        ok = *s != '/' && in_class(p, end, s);
        used = (size_t)(end - p);
    } else if (*p == '?') {
        ok = *s != '/';
        used = 1;
    } else {
        used = character(p);
        ok = used == n && memcmp(p, s, n) == 0;
    }
    if (ok) {
        *pattern = p + used;
        *name = s + n;
    }
    return ok;
}

/* Where a star stands, and up to where in the name it has been stretched. */
struct star {
    const char *pattern, *name; /* pattern: behind it; NULL: none so far */
};

/* The first fit of what lies between two stars leaves the later one the most room, so only the latest of each
 * kind is ever stretched: no recursion, no exponential patterns. */
bool wildcard_match(const char *pattern, const char *name)
{
    struct star shallow = {0}, deep = {0};
    for (;;) {
        if (pattern[0] == '*' && pattern[1] == '*') {
            pattern += strspn(pattern, "*");
            deep = (struct star){pattern, name};
            shallow = (struct star){0};
        } else if (*pattern == '*') {
            shallow = (struct star){++pattern, name};
        } else if (!*pattern && !*name) {
            return true;
        } else if (!step(&pattern, &name)) {
            struct star *star = &deep;
            if (shallow.pattern && *shallow.name && *shallow.name != '/')
                star = &shallow;
            else
                shallow = (struct star){0};
            if (!star->pattern || !*star->name)
                return false;
            star->name += character(star->name);
            pattern = star->pattern;
            name = star->name;
        }
    }
}

bool wildcard_in(const char *text)
{
    return strpbrk(text, "*?[") != NULL;
}
