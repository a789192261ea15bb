/* completion.c: what a shell completes after `ferry`, from the commands' tables: bash, zsh and fish. */
#include "cmd/commands.h"

#include <string.h>

/* A word of a choice list ("a|b|c") at a time; each with a space behind it. */
static void print_choices(FILE *out, const char *choices)
{
    for (const char *c = choices; *c; c++)
        fputc(*c == '|' ? ' ' : *c, out);
}

static void print_commands(FILE *out)
{
    for (size_t i = 0; command_at(i); i++)
        fprintf(out, "%s%s", i ? " " : "", command_at(i)->name);
}

/* Text within single quotes of a shell; `also` are characters that get a backslash besides. */
static void quoted(FILE *out, const char *text, const char *also)
{
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\''", out);
        else if (strchr(also, *text))
            fprintf(out, "\\%c", *text);
        else
            fputc(*text, out);
    }
}

/* --- bash --- */

/* "stage:--encode|stage:-e) …": values of a choice; nothing for a number; for any other text files, the
 * default. */
static void bash_values(FILE *out, const struct command *c, const struct option *o)
{
    bool number = o->type == OPTION_INT || o->type == OPTION_REAL;
    if (!o->name || (o->type != OPTION_CHOICE && !number))
        return;
    fprintf(out, "    %s:--%s", c->name, o->name);
    if (o->letter)
        fprintf(out, "|%s:-%c", c->name, o->letter);
    fputs(") COMPREPLY=(", out);
    if (!number) {
        fputs("$(compgen -W \"", out);
        print_choices(out, o->choices);
        fputs("\" -- \"$cur\")", out);
    }
    fputs("); return ;;\n", out);
}

static void bash_options(FILE *out, const struct command *c)
{
    const struct option *o;
    fprintf(out, "    %s) words=\"--help", c->name);
    for (size_t i = 0; (o = option_at(c, i)); i++)
        if (o->name)
            fprintf(out, " --%s", o->name);
    fputs("\" ;;\n", out);
}

static void bash(FILE *out)
{
    const struct option *o;
    fputs(
        "# bash completion of ferry: made by `ferry help --completion bash`\n_ferry() {\n"
        "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]} "
        "words=\n"
        "    COMPREPLY=()\n"
        "    if [ \"$COMP_CWORD\" -eq 1 ] || { [ \"$command\" = help ] && [ \"${cur:0:1}\" != - ]; }; then\n"
        "        COMPREPLY=($(compgen -W \"",
        out);
    print_commands(out);
    fputs(" --help --version\" -- \"$cur\"))\n        return\n    fi\n    case $command:$prev in\n", out);
    for (size_t i = 0; command_at(i); i++)
        for (size_t k = 0; (o = option_at(command_at(i), k)); k++)
            bash_values(out, command_at(i), o);
    fputs("    esac\n    [ \"${cur:0:1}\" = - ] || return 0\n    case $command in\n", out);
    for (size_t i = 0; command_at(i); i++)
        bash_options(out, command_at(i));
    fputs("    esac\n    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\ncomplete -o default -F _ferry "
          "ferry\n",
          out);
}

/* --- zsh --- */

static void zsh_value(FILE *out, const struct option *o)
{
    if (o->type == OPTION_FLAG)
        return;
    fputc(':', out);
    quoted(out, o->argument, ":[]");
    fputc(':', out);
    if (o->type == OPTION_CHOICE) {
        fputc('(', out);
        print_choices(out, o->choices);
        fputc(')', out);
    } else if (o->type == OPTION_TEXT || o->type == OPTION_LIST) {
        fputs("_files", out);
    }
}

static void zsh_option(FILE *out, const struct option *o)
{
    if (!o->name)
        return;
    fprintf(out, " \\\n        '%s--%s%s[", o->type == OPTION_LIST ? "*" : "", o->name,
            o->type == OPTION_FLAG ? "" : "=");
    quoted(out, o->help, ":[]");
    fputc(']', out);
    zsh_value(out, o);
    fputc('\'', out);
}

static void zsh(FILE *out)
{
    const struct option *o;
    fputs("#compdef ferry\n# made by `ferry help --completion zsh`\n_ferry() {\n    local -a commands\n    "
          "commands=(\n",
          out);
    for (size_t i = 0; command_at(i); i++) {
        fprintf(out, "        '%s:", command_at(i)->name);
        quoted(out, command_at(i)->summary, ":");
        fputs("'\n", out);
    }
    fputs("    )\n    if ((CURRENT == 2)); then\n        _describe command commands\n        return\n    fi\n"
          "    local command=$words[2]\n    shift words\n    ((CURRENT--))\n    case $command in\n",
          out);
    for (size_t i = 0; command_at(i); i++) {
        fprintf(out, "    %s) _arguments '--help[say what it does]'", command_at(i)->name);
        for (size_t k = 0; (o = option_at(command_at(i), k)); k++)
            zsh_option(out, o);
        fprintf(out, " \\\n        '*:argument:%s' ;;\n",
                strcmp(command_at(i)->name, "help") == 0 ? "{_describe command commands}" : "_files");
    }
    fputs("    esac\n}\n_ferry \"$@\"\n", out);
}

/* --- fish --- */

static void fish_option(FILE *out, const struct command *c, const struct option *o)
{
    if (!o->name)
        return;
    fprintf(out, "complete -c ferry -n '__fish_seen_subcommand_from %s' -l %s", c->name, o->name);
    if (o->letter)
        fprintf(out, " -s %c", o->letter);
    if (o->type == OPTION_CHOICE) {
        fputs(" -x -a '", out);
        print_choices(out, o->choices);
        fputc('\'', out);
    } else if (o->type != OPTION_FLAG) {
        fputs(o->type == OPTION_INT || o->type == OPTION_REAL ? " -x" : " -r", out);
    }
    fputs(" -d '", out);
    quoted(out, o->help, "\\");
    fputs("'\n", out);
}

static void fish(FILE *out)
{
    const struct option *o;
    fputs("# fish completion of ferry: made by `ferry help --completion fish`\n", out);
    for (size_t i = 0; command_at(i); i++) {
        fprintf(out, "complete -c ferry -n __fish_use_subcommand -f -a %s -d '", command_at(i)->name);
        quoted(out, command_at(i)->summary, "\\");
        fputs("'\n", out);
    }
    fputs("complete -c ferry -n '__fish_seen_subcommand_from help' -f -a '", out);
    print_commands(out);
    fputs("'\n", out);
    for (size_t i = 0; command_at(i); i++)
        for (size_t k = 0; (o = option_at(command_at(i), k)); k++)
            fish_option(out, command_at(i), o);
}

void help_completion(FILE *out, enum shell shell)
{
    static void (*const shells[])(FILE * out) = {[SHELL_BASH] = bash, [SHELL_ZSH] = zsh, [SHELL_FISH] = fish};
    shells[shell](out);
}
