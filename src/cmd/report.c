#include "cmd/report.h"

#include "base/catalog.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const char *report_text(struct report *r, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int n = vasprintf(&text, tr(format), arguments);
    va_end(arguments);
    char *kept = n >= 0 ? arena_strndup(r->arena, text, (size_t)n) : NULL;
    free(n >= 0 ? text : NULL);
    for (char *at = kept; at && *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = ' ';
    return kept ? kept : "";
}

/* "a|>b|c" into names; their number. */
static int split_heads(struct report *r, struct report_section *s, const char *heads)
{
    int n = 0;
    for (const char *at = heads; at && n < REPORT_COLUMNS; n++) {
        const char *end = strchr(at, '|');
        s->right[n] = *at == '>';
        at += s->right[n];
        s->heads[n] = report_text(r, "%.*s", (int)(end ? (size_t)(end - at) : strlen(at)), at);
        at = end ? end + 1 : NULL;
    }
    return n;
}

struct report_section *report_section(struct report *r, const char *id, const char *title, const char *heads)
{
    if (r->section_count == REPORT_SECTIONS)
        abort();
    struct report_section *s = &r->sections[r->section_count++];
    *s = (struct report_section){.id = id, .title = tr(title)};
    s->columns = split_heads(r, s, tr(heads));
    return s;
}

void report_row(struct report_section *s, enum report_mark mark, const char *why, const char *const *cells)
{
    if (s->row_count == REPORT_ROWS)
        abort();
    struct report_row *row = &s->rows[s->row_count++];
    row->mark = mark;
    row->why = why;
    memcpy(row->cells, cells, (size_t)s->columns * sizeof *cells);
}

void report_note(struct report_section *s, const char *text)
{
    if (s->note_count == REPORT_NOTES)
        abort();
    s->notes[s->note_count++] = tr(text);
}
