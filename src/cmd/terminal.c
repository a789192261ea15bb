#include "cmd/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const sequences[] = {
    [STYLE_PLAIN] = "\033[0m",
    [STYLE_BOLD] = "\033[1m",
    [STYLE_DIM] = "\033[2m",
    [STYLE_RED] = "\033[31m",
};

bool terminal_is(int fd)
{
    return isatty(fd) == 1;
}

const char *terminal_style(int fd, enum style style)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    bool plain = !terminal_is(fd) || (no_color && *no_color) || !term || strcmp(term, "dumb") == 0;
    return plain ? "" : sequences[style];
}
