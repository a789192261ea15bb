/* report.h: what a command found out, as titled tables and sentences, before it is known whether they go to a
 * terminal or into a page. One thread. */
#ifndef FERRY_CMD_REPORT_H
#define FERRY_CMD_REPORT_H

#include "base/arena.h"

#include <stdbool.h>
#include <stdio.h>

enum { REPORT_SECTIONS = 20, REPORT_COLUMNS = 8, REPORT_ROWS = 24, REPORT_NOTES = 16, REPORT_WIDTH = 100 };

enum report_mark {
    REPORT_PLAIN,
    REPORT_CHOSEN, /* the row that the rest is about */
    REPORT_BAD,    /* does not fit, does not work */
    REPORT_QUIET,  /* for comparison, or not known */
};

struct report_row {
    enum report_mark mark;
    const char *cells[REPORT_COLUMNS];
    const char *why; /* the arithmetic, its assumptions and sources; NULL: none */
};

struct report_section {
    const char *id, *title;
    const char *heads[REPORT_COLUMNS]; /* [columns], names of columns; all "" in a list of facts */
    bool right[REPORT_COLUMNS];        /* numbers */
    int columns;
    struct report_row rows[REPORT_ROWS];
    int row_count;
    const char *notes[REPORT_NOTES]; /* sentences behind the table */
    int note_count;
};

struct report {
    struct arena *arena; /* of all strings */
    const char *title;
    struct report_section sections[REPORT_SECTIONS];
    int section_count;
};

/* The format is looked up in the catalog (base/catalog.h), as are titles, heads and notes; what else goes
 * into a cell is in the reader's language already. In the arena; "" when there is no memory. Control
 * characters (a model's files may contain any) become spaces. */
const char *report_text(struct report *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* heads: "encoding|>weights|shape": columns, with > those of numbers. "|" alone: two without names. */
struct report_section *report_section(struct report *r, const char *id, const char *title, const char *heads);

/* cells: as many as the section has columns. What is more than there is room for ends the program: it is a
 * mistake in it. */
void report_row(struct report_section *s, enum report_mark mark, const char *why, const char *const *cells);
#define REPORT_ROW(s, mark, why, ...) report_row((s), (mark), (why), (const char *const[]){__VA_ARGS__})
void report_note(struct report_section *s, const char *text);

/* On a terminal or in a file, REPORT_WIDTH columns at most. explain: each row's why below it. */
void report_print(const struct report *r, bool explain, FILE *out, int style_fd);

/* As HTML: <section id="…"> with a table; what stands in it is escaped. */
void report_html_section(const struct report_section *s, FILE *out);
void report_html_text(const char *text, FILE *out);

#endif
