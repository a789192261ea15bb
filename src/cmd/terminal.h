/* terminal.h: what the other side of a descriptor can show. */
#ifndef FERRY_CMD_TERMINAL_H
#define FERRY_CMD_TERMINAL_H

#include <stdbool.h>

enum style { STYLE_PLAIN, STYLE_BOLD, STYLE_DIM, STYLE_RED };

bool terminal_is(int fd);

/* The escape sequence that switches to a style, "" where there is no terminal, TERM is dumb, or NO_COLOR is
 * set (https://no-color.org). */
const char *terminal_style(int fd, enum style style);

#endif
