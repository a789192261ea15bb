/* main.c: finds the command, runs it, and is the one place that prints an error and picks the exit code. */
#include "cmd/commands.h"
#include "cmd/interrupt.h"
#include "cmd/terminal.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_UNCONFIRMED = 4 };

static bool print_version(void)
{
    return puts("ferry " FERRY_VERSION) >= 0;
}

static bool run(int argc, char **argv, struct err *e)
{
    const char *first = argc > 1 ? argv[1] : "--help";
    if (strcmp(first, "--version") == 0)
        return print_version();
    if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0) {
        help_overview(stdout);
        return true;
    }
    if (*first == '-')
        return err_set(e, ERR_USAGE, "unknown option %.40s; a command comes first, see `ferry --help`",
                       first);
    const struct command *c = command_find(first, e);
    return c && (c->run(c, argv + 2, argc - 2, e) || err_wrap(e, "%s", c->name));
}

int main(int argc, char **argv)
{
    struct err e = {0};
    signal(SIGXFSZ, SIG_IGN); /* a limit on the size of files is told like a full disk */
    bool ok = run(argc, argv, &e);

    if (ok && (fflush(stdout) != 0 || ferror(stdout)))
        ok = err_errno(&e, "cannot write to stdout");
    if (ok)
        return EXIT_OK;
    fflush(stdout);
    fprintf(stderr, "%sferry:%s %s\n", terminal_style(STDERR_FILENO, STYLE_RED),
            terminal_style(STDERR_FILENO, STYLE_PLAIN), e.text);
    if (e.kind == ERR_CANCELLED)
        interrupt_die();
    return e.kind == ERR_USAGE ? EXIT_USAGE : e.kind == ERR_UNCONFIRMED ? EXIT_UNCONFIRMED : EXIT_FAILED;
}
