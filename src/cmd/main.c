/* main.c: finds the command, runs it, and is the one place that prints an error and picks the exit code. */
#include "base/catalog.h"
#include "cmd/commands.h"
#include "cmd/interrupt.h"
#include "cmd/terminal.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_FINDINGS = 3, EXIT_UNCONFIRMED = 4 };

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

/* A service speaks English wherever it runs: its log and its answers are read by programs. */
static void choose_language(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "serve") != 0)
        catalog_use(catalog_asked());
}

static int exit_code(enum err_kind kind)
{
    switch (kind) {
    case ERR_USAGE:
        return EXIT_USAGE;
    case ERR_FINDINGS:
        return EXIT_FINDINGS;
    case ERR_UNCONFIRMED:
        return EXIT_UNCONFIRMED;
    default:
        return EXIT_FAILED;
    }
}

int main(int argc, char **argv)
{
    struct err e = {0};
    signal(SIGXFSZ, SIG_IGN); /* a limit on the size of files is told like a full disk */
    choose_language(argc, argv);
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
    return exit_code(e.kind);
}
