/* wrap.h: text broken into lines as its script wants it: at spaces, and between Japanese characters, of which
 * none that closes something or makes a sound longer begins a line (kinsoku). */
#ifndef FERRY_CMD_WRAP_H
#define FERRY_CMD_WRAP_H

#include <stddef.h>
#include <stdio.h>

/* Columns on a terminal. */
int text_width(const char *text, size_t size);

/* From column `at` on, where the cursor is; further lines from column `indent` on, none wider than `width`
 * where that can be. Ends the line. */
void wrap_print(FILE *out, const char *text, int at, int indent, int width);

#endif
