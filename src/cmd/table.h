/* table.h: rows of cells in columns on stdout, within TABLE_WIDTH columns: a first cell that is too long for
 * that stands on a line of its own, above the rest of its row. One thread.
 *
 *   struct table t = table_new("NAME|STATE|>A MONTH");      > those of numbers
 *   for each row: table_measure(&t, &row)
 *   table_head(&t), and for each row again: table_print(&t, &row) */
#ifndef FERRY_CMD_TABLE_H
#define FERRY_CMD_TABLE_H

#include <stdbool.h>

enum { TABLE_COLUMNS = 8, TABLE_CELL = 200, TABLE_WIDTH = 100 };

struct table_row {
    char cells[TABLE_COLUMNS][TABLE_CELL];
};

struct table {
    struct table_row heads;
    int columns;
    bool right[TABLE_COLUMNS];
    int widths[TABLE_COLUMNS];
};

struct table table_new(const char *heads);
void table_measure(struct table *t, const struct table_row *r);
void table_head(const struct table *t);
void table_print(const struct table *t, const struct table_row *r);

#endif
