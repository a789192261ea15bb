/* help.c: --help, `ferry help` and the man page, all from the commands' tables. */
#include "cmd/commands.h"
#include "cmd/terminal.h"

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

enum { WIDTH = 79, HELP_COLUMN = 28 };

static const char about_ferry[] =
    "Ferry takes models from Hugging Face to where they are served, and serves them: one program, no Python. "
    "It "
    "copies them to Cloud Storage, verified and resumable, and answers for Qwen2-Audio and Qwen2 models with "
    "the OpenAI chat API in front and audio understood as it is spoken.";

static const struct {
    int code;
    const char *meaning;
} exit_codes[] = {
    {0, "it worked"},
    {1, "it failed; one line on stderr says why and what to do"},
    {2, "it was asked for something that makes no sense: an unknown option, a bad value"},
    {3, "`ferry doctor` has found something that is wrong"},
    {4, "it would delete or replace something and nobody said yes; --yes says it beforehand"},
};

/* Prints text from column `indent` on, where the cursor is, broken at spaces before WIDTH and at its own line
 * ends. */
static void wrap(FILE *out, const char *text, int indent)
{
    int at = indent;
    while (*text) {
        int word = (int)strcspn(text, " \n");
        if (at > indent && at + 1 + word > WIDTH) {
            fprintf(out, "\n%*s", indent, "");
            at = indent;
        } else if (at > indent) {
            at += fprintf(out, " ");
        }
        at += fprintf(out, "%.*s", word, text);
        text += word;
        text += strspn(text, " ");
        for (; *text == '\n'; text++, at = indent)
            fprintf(out, "\n%*s", indent, "");
    }
    fputc('\n', out);
}

/* "-p, --port PORT"; length of what was written. */
static int option_head(const struct option *o, char *text, size_t room)
{
    char letter[8] = "    ";
    if (o->letter)
        snprintf(letter, sizeof letter, "-%c, ", o->letter);
    return snprintf(text, room, "%s--%s%s%s", letter, o->name, o->argument ? " " : "",
                    o->argument ? o->argument : "");
}

/* "help text (default 8080; environment PORT)" */
static void option_text(const struct option *o, char *text, size_t room)
{
    bool env = o->env && o->name;
    snprintf(text, room, "%s%s%s%s%s%s%s", o->help, o->preset || env ? " (" : "", o->preset ? "default " : "",
             o->preset ? o->preset : "", o->preset && env ? "; " : "", env ? o->env : "",
             o->preset || env ? ")" : "");
}

static void print_row(FILE *out, const char *head, const char *text)
{
    int length = fprintf(out, "  %s", head);
    if (length + 2 > HELP_COLUMN) {
        fputc('\n', out);
        length = 0;
    }
    fprintf(out, "%*s", HELP_COLUMN - length, "");
    wrap(out, text, HELP_COLUMN);
}

static void heading(FILE *out, const char *title)
{
    fprintf(out, "\n%s%s%s\n", terminal_style(STDOUT_FILENO, STYLE_BOLD), title,
            terminal_style(STDOUT_FILENO, STYLE_PLAIN));
}

void help_overview(FILE *out)
{
    fputs("Usage: ferry COMMAND [options]\n\n", out);
    wrap(out, about_ferry, 0);
    heading(out, "Commands");
    for (size_t i = 0; command_at(i); i++)
        print_row(out, command_at(i)->name, command_at(i)->summary);
    heading(out, "Options");
    print_row(out, "-h, --help", "what a command does, its options and examples");
    print_row(out, "    --version", "the version of this program");
    heading(out, "Examples");
    for (size_t i = 0; command_at(i); i++)
        if (command_at(i)->examples[0])
            fprintf(out, "  %s\n", command_at(i)->examples[0]);
}

static void print_environment(FILE *out, const struct command *c)
{
    const struct option *o;
    bool any = false;
    for (size_t i = 0; (o = option_at(c, i)); i++) {
        if (o->name)
            continue;
        if (!any)
            heading(out, "Environment");
        any = true;
        print_row(out, o->env, o->help);
    }
}

static void print_group(FILE *out, const struct option_group *g)
{
    char head[80], text[400];

    heading(out, g->title);
    for (size_t i = 0; i < g->count; i++) {
        if (!g->rows[i].name)
            continue;
        option_head(&g->rows[i], head, sizeof head);
        option_text(&g->rows[i], text, sizeof text);
        print_row(out, head, text);
    }
}

void help_command(FILE *out, const struct command *c)
{
    fprintf(out, "Usage: ferry %s %s\n\n", c->name, c->synopsis);
    wrap(out, c->about, 0);
    for (const struct option_group *const *g = c->groups; *g; g++)
        print_group(out, *g);
    print_environment(out, c);
    heading(out, "Examples");
    for (const char *const *x = c->examples; *x; x += 2)
        fprintf(out, "  # %s\n  %s\n", x[1], x[0]);
}

/* Text as troff takes it literally: \- is a minus one can copy, a dot at a line's start is no macro. */
static void troff(FILE *out, const char *text)
{
    for (const char *start = text; *text; text++) {
        if ((*text == '.' || *text == '\'') && (text == start || text[-1] == '\n'))
            fputs("\\&", out);
        if (*text == '\\')
            fputs("\\e", out);
        else if (*text == '\n')
            fputs("\n.br\n", out);
        else if (*text == '-')
            fputs("\\-", out);
        else
            fputc(*text, out);
    }
    fputc('\n', out);
}

static void man_tagged(FILE *out, const char *tag, const char *text)
{
    fputs(".TP\n.B ", out);
    troff(out, tag);
    troff(out, text);
}

static void man_option(FILE *out, const struct option *o)
{
    char head[80], text[400];
    option_text(o, text, sizeof text);
    if (o->name)
        option_head(o, head, sizeof head);
    man_tagged(out, o->name ? head + (o->letter ? 0 : 4) : o->env, text);
}

static void man_command(FILE *out, const struct command *c)
{
    const struct option *o;

    fprintf(out, ".SS ferry %s %s\n", c->name, c->synopsis);
    troff(out, c->about);
    for (size_t i = 0; (o = option_at(c, i)); i++)
        man_option(out, o);
    for (const char *const *x = c->examples; *x; x += 2) {
        fputs(".PP\n", out);
        troff(out, x[1]);
        fputs(".PP\n.RS\n.nf\n", out);
        troff(out, x[0]);
        fputs(".fi\n.RE\n", out);
    }
}

void help_man(FILE *out)
{
    fputs(".TH FERRY 1 \"\" \"ferry " FERRY_VERSION "\" \"User Commands\"\n", out);
    fputs(".SH NAME\nferry \\- copy models from Hugging Face to a bucket, serve them and ask them\n", out);
    fputs(".SH SYNOPSIS\n.B ferry\nCOMMAND [options]\n.SH DESCRIPTION\n", out);
    troff(out, about_ferry);
    fputs(".SH COMMANDS\n", out);
    for (size_t i = 0; command_at(i); i++)
        man_command(out, command_at(i));
    fputs(".SH ENVIRONMENT\nOptions name their variable in parentheses; the command line wins.\n", out);
    man_tagged(out, "NO_COLOR", "when set, nothing is printed in colour");
    fputs(".SH EXIT STATUS\n", out);
    for (size_t i = 0; i < sizeof exit_codes / sizeof *exit_codes; i++) {
        char code[12];
        snprintf(code, sizeof code, "%d", exit_codes[i].code);
        man_tagged(out, code, exit_codes[i].meaning);
    }
}

struct help_settings {
    bool man;
    int completion; /* 0: none; else 1 + enum shell */
};

static const struct option help_options[] = {
    {.name = "man",
     .type = OPTION_FLAG,
     .offset = offsetof(struct help_settings, man),
     .help = "print the man page instead (troff; read it with `ferry help --man | man -l -`)"},
    {.name = "completion",
     .type = OPTION_CHOICE,
     .argument = "SHELL",
     .preset = "none",
     .choices = "none|bash|zsh|fish",
     .offset = offsetof(struct help_settings, completion),
     .help = "print what a shell needs to complete ferry's commands and options"},
};

static bool run_help(const struct command *c, char **args, int count, struct err *e)
{
    struct help_settings s = {0};
    struct operands o;

    if (!options_read(c, args, count, &s, &o, e))
        return false;
    if (s.man) {
        help_man(stdout);
        return true;
    }
    if (s.completion) {
        help_completion(stdout, (enum shell)(s.completion - 1));
        return true;
    }
    if (o.help || o.count == 0) {
        help_overview(stdout);
        return true;
    }
    const struct command *about = command_find(o.items[0], e);
    if (!about)
        return false;
    help_command(stdout, about);
    return true;
}

static const char *const help_examples[] = {"ferry help serve", "everything `ferry serve` can be told",
                                            "source <(ferry help --completion bash)",
                                            "Tab completes commands and options in this shell", NULL};

static const struct option_group help_group = {"Options", help_options,
                                               sizeof help_options / sizeof *help_options};
static const struct option_group *const help_groups[] = {&help_group, NULL};

const struct command command_help = {
    .name = "help",
    .synopsis = "[COMMAND] [--man] [--completion SHELL]",
    .summary = "explain a command, or print the man page",
    .about = "Says what a command does, with its options and examples.",
    .examples = help_examples,
    .groups = help_groups,
    .max_operands = 1,
    .run = run_help,
};
