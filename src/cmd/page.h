/* page.h: a report as one page with charts: it loads nothing, follows the reader's light or dark, prints
 * well.
 */
#ifndef FERRY_CMD_PAGE_H
#define FERRY_CMD_PAGE_H

#include "base/err.h"
#include "cmd/report.h"

/* Up to the title; where: the line below it. */
void page_begin(const char *title, const char *where, FILE *out);
/* The numbers that matter, side by side, between page_tiles_begin and page_tiles_end. */
void page_tiles_begin(FILE *out);
void page_tile(const char *value, const char *what, FILE *out);
void page_tiles_end(FILE *out);
void page_section_begin(const struct report_section *s, FILE *out); /* its charts come next */
void page_section_end(const struct report_section *s, FILE *out);   /* its table, its sentences */
void page_end(FILE *out);

/* What the colours of a chart stand for, above it; what it shows, below, which ends the <figure>. */
void page_legend(FILE *out, const char *const *names, const char *const *classes, int count);
void page_caption(FILE *out, const char *text);

/* The page into a file of that name. False with *e set. */
bool page_write(const char *path, void (*write)(void *arg, FILE *out), void *arg, struct err *e);

#endif
