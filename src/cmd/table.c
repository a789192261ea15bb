#include "cmd/table.h"

#include <stdio.h>
#include <string.h>

enum { FIRST_LEAST = 8 };

struct table table_new(const char *heads)
{
    struct table t = {0};
    while (*heads && t.columns < TABLE_COLUMNS) {
        t.right[t.columns] = *heads == '>';
        heads += *heads == '>';
        size_t n = strcspn(heads, "|");
        snprintf(t.heads.cells[t.columns++], TABLE_CELL, "%.*s", (int)n, heads);
        heads += n + (heads[n] == '|');
    }
    table_measure(&t, &t.heads);
    return t;
}

void table_measure(struct table *t, const struct table_row *r)
{
    for (int i = 0; i < t->columns; i++) {
        int n = (int)strlen(r->cells[i]);
        t->widths[i] = n > t->widths[i] ? n : t->widths[i];
    }
}

/* What is left to the first column. */
static int first_width(const struct table *t)
{
    int left = TABLE_WIDTH;
    for (int i = 1; i < t->columns; i++)
        left -= t->widths[i] + 2;
    left = left < FIRST_LEAST ? FIRST_LEAST : left;
    return t->widths[0] < left ? t->widths[0] : left;
}

/* No spaces at the end of a line. */
static void end_line(char *line)
{
    size_t n = strlen(line);
    while (n && line[n - 1] == ' ')
        n--;
    line[n] = 0;
    puts(line);
}

void table_print(const struct table *t, const struct table_row *r)
{
    char line[TABLE_COLUMNS * (TABLE_CELL + 2)];
    int first = first_width(t), n = 0;
    bool alone = (int)strlen(r->cells[0]) > first;
    if (alone)
        puts(r->cells[0]);
    for (int i = 0; i < t->columns; i++) {
        int width = i ? t->widths[i] : first;
        n += snprintf(line + n, sizeof line - (size_t)n, "%s%*s", i ? "  " : "", t->right[i] ? width : -width,
                      i || !alone ? r->cells[i] : "");
    }
    end_line(line);
}

void table_head(const struct table *t)
{
    table_print(t, &t->heads);
}
