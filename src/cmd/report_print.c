/* report_print.c: a report on a terminal. */
#include "cmd/report.h"
#include "cmd/terminal.h"
#include "cmd/wrap.h"

#include <string.h>

enum { GAP = 2, INDENT = 2, WHY_INDENT = 6 };

static void spaces(FILE *out, int n)
{
    fprintf(out, "%*s", n > 0 ? n : 0, "");
}

static void wrap(FILE *out, const char *text, int at, int indent)
{
    wrap_print(out, text, at, indent, REPORT_WIDTH);
}

struct print {
    const struct report_section *s;
    int widths[REPORT_COLUMNS];
    int fd;
    FILE *out;
};

static void measure(struct print *p)
{
    const struct report_section *s = p->s;
    for (int c = 0; c < s->columns; c++) {
        p->widths[c] = text_width(s->heads[c], strlen(s->heads[c]));
        for (int i = 0; i < s->row_count; i++) {
            int w = text_width(s->rows[i].cells[c], strlen(s->rows[i].cells[c]));
            p->widths[c] = w > p->widths[c] ? w : p->widths[c];
        }
    }
}

static void print_cells(const struct print *p, const char *const *cells)
{
    const struct report_section *s = p->s;
    int at = INDENT, last = s->columns - 1;
    spaces(p->out, INDENT);
    for (int c = 0; c < last; c++) {
        int room = p->widths[c] - text_width(cells[c], strlen(cells[c]));
        spaces(p->out, s->right[c] ? room : 0);
        fputs(cells[c], p->out);
        bool more = false;
        for (int k = c + 1; k <= last; k++)
            more = more || *cells[k];
        if (more)
            spaces(p->out, (s->right[c] ? 0 : room) + GAP);
        at += p->widths[c] + GAP;
    }
    if (s->right[last] && *cells[last])
        spaces(p->out, p->widths[last] - text_width(cells[last], strlen(cells[last])));
    wrap(p->out, cells[last], at, at);
}

static enum style style_of(enum report_mark m)
{
    return m == REPORT_CHOSEN  ? STYLE_BOLD
           : m == REPORT_BAD   ? STYLE_RED
           : m == REPORT_QUIET ? STYLE_DIM
                               : STYLE_PLAIN;
}

static void styled(const struct print *p, enum style style, const char *const *cells)
{
    if (style != STYLE_PLAIN)
        fputs(terminal_style(p->fd, style), p->out);
    print_cells(p, cells);
    if (style != STYLE_PLAIN)
        fputs(terminal_style(p->fd, STYLE_PLAIN), p->out);
}

static bool has_heads(const struct report_section *s)
{
    for (int c = 0; c < s->columns; c++)
        if (*s->heads[c])
            return true;
    return false;
}

static void print_section(const struct report_section *s, bool explain, FILE *out, int fd)
{
    struct print p = {.s = s, .out = out, .fd = fd};
    measure(&p);
    fprintf(out, "\n%s%s%s\n", terminal_style(fd, STYLE_BOLD), s->title, terminal_style(fd, STYLE_PLAIN));
    if (has_heads(s) && s->row_count)
        styled(&p, STYLE_DIM, s->heads);
    for (int i = 0; i < s->row_count; i++) {
        styled(&p, style_of(s->rows[i].mark), s->rows[i].cells);
        if (!explain || !s->rows[i].why)
            continue;
        spaces(out, WHY_INDENT - 2);
        fputs("= ", out);
        wrap(out, s->rows[i].why, WHY_INDENT, WHY_INDENT);
    }
    for (int i = 0; i < s->note_count; i++) {
        spaces(out, INDENT);
        wrap(out, s->notes[i], INDENT, INDENT);
    }
}

void report_print(const struct report *r, bool explain, FILE *out, int style_fd)
{
    fputs(terminal_style(style_fd, STYLE_BOLD), out);
    wrap(out, r->title, 0, 0);
    fputs(terminal_style(style_fd, STYLE_PLAIN), out);
    for (int i = 0; i < r->section_count; i++)
        print_section(&r->sections[i], explain, out, style_fd);
}
