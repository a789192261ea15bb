#include "cmd/confirm.h"

#include "cmd/terminal.h"

#include <stdio.h>
#include <strings.h>
#include <unistd.h>

bool confirm(const char *question, bool yes, struct err *e)
{
    char answer[64] = "";

    if (yes)
        return true;
    if (!terminal_is(STDIN_FILENO) || !terminal_is(STDERR_FILENO))
        return err_set(e, ERR_UNCONFIRMED, "%s There is no terminal to ask at: --yes says yes", question);
    fflush(stdout);
    fprintf(stderr, "%s [y/N] ", question);
    if (!fgets(answer, sizeof answer, stdin))
        fputc('\n', stderr);
    if (strcasecmp(answer, "y\n") == 0 || strcasecmp(answer, "yes\n") == 0)
        return true;
    return err_set(e, ERR_UNCONFIRMED, "nothing was done, the answer was not yes");
}
