#include "engine/stop.h"

#include <stdlib.h>
#include <string.h>

/* Knuth, Morris, Pratt: how much of the string the text ends with, and where to go on when the next byte
 * does not fit. */
struct pattern {
    char *text;    /* [size] and a NUL */
    int *fallback; /* [size + 1]: the longest shorter beginning that the first i bytes end with */
    int size, matched;
};

struct stop_matcher {
    struct pattern patterns[STOP_MAX_STRINGS];
    int count;
    bool stopped;
    size_t held_count, held_room;
    char *held; /* [held_room] the longest beginning of a stop string that the text ends with */
};

/* The state after one more byte. */
static int step(const struct pattern *p, int matched, char c)
{
    while (matched > 0 && p->text[matched] != c)
        matched = p->fallback[matched];
    return p->text[matched] == c ? matched + 1 : 0;
}

static bool pattern_init(struct pattern *p, const char *string, struct err *e)
{
    size_t size = strlen(string);
    if (size == 0 || size > STOP_MAX_BYTES)
        return err_set(e, ERR_USAGE, "has %zu bytes, expected 1 to %d", size, STOP_MAX_BYTES);
    p->size = (int)size;
    p->text = strdup(string);
    p->fallback = calloc(size + 1, sizeof *p->fallback);
    if (!p->text || !p->fallback)
        return err_set(e, ERR_MEMORY, "no memory for it");
    for (int i = 1; i < p->size; i++)
        p->fallback[i + 1] = step(p, p->fallback[i], string[i]);
    return true;
}

static bool matcher_init(struct stop_matcher *m, const char *const *strings, int count, struct err *e)
{
    if (count > STOP_MAX_STRINGS)
        return err_set(e, ERR_USAGE, "%d stop strings, expected at most %d", count, STOP_MAX_STRINGS);
    for (; m->count < count; m->count++) {
        struct pattern *p = &m->patterns[m->count];
        if (!pattern_init(p, strings[m->count], e))
            return err_wrap(e, "stop string %d", m->count + 1);
        if ((size_t)p->size > m->held_room)
            m->held_room = (size_t)p->size;
    }
    m->held = malloc(m->held_room + 1);
    return m->held ? true : err_set(e, ERR_MEMORY, "no memory for stop strings");
}

struct stop_matcher *stop_new(const char *const *strings, int count, struct err *e)
{
    struct stop_matcher *m = calloc(1, sizeof *m);
    if (!m) {
        err_set(e, ERR_MEMORY, "no memory for stop strings");
        return NULL;
    }
    if (matcher_init(m, strings, count, e))
        return m;
    stop_free(m);
    return NULL;
}

void stop_free(struct stop_matcher *m)
{
    if (!m)
        return;
    for (int i = 0; i < STOP_MAX_STRINGS; i++) {
        free(m->patterns[i].text);
        free(m->patterns[i].fallback);
    }
    free(m->held);
    free(m);
}

size_t stop_room(const struct stop_matcher *m, size_t size)
{
    return m->held_room + size;
}

/* Hands out held bytes from the front until `keep` are left. */
static size_t release(struct stop_matcher *m, size_t keep, char *out)
{
    size_t n = m->held_count - keep;
    memcpy(out, m->held, n);
    memmove(m->held, m->held + n, keep);
    m->held_count = keep;
    return n;
}

/* Takes one byte; how many bytes at the end must be kept. *complete: the longest string that ends here. */
static size_t feed(struct stop_matcher *m, char c, size_t *complete)
{
    int keep = 0, longest = 0;
    for (int i = 0; i < m->count; i++) {
        struct pattern *p = &m->patterns[i];
        p->matched = step(p, p->matched, c);
        if (p->matched > keep)
            keep = p->matched;
        if (p->matched == p->size && p->size > longest)
            longest = p->size;
    }
    *complete = (size_t)longest;
    return (size_t)keep;
}

size_t stop_push(struct stop_matcher *m, const char *text, size_t size, char *out, bool *stopped)
{
    size_t n = 0, complete = 0;
    for (size_t i = 0; i < size && !m->stopped; i++) {
        size_t keep = feed(m, text[i], &complete);
        m->held[m->held_count++] = text[i];
        n += release(m, complete ? complete : keep, out + n);
        m->stopped = complete > 0;
    }
    if (m->stopped)
        m->held_count = 0;
    *stopped = m->stopped;
    return n;
}

size_t stop_finish(struct stop_matcher *m, char *out)
{
    return release(m, 0, out);
}
