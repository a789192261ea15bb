#include "cmd/option.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where a value came from, for the message: "--port" or "PORT". */
struct value {
    const char *text;
    const char *source;
};

size_t option_choice(const char *choices, int n, char *text, size_t room)
{
    while (choices && n-- > 0) {
        choices = strchr(choices, '|');
        choices = choices ? choices + 1 : NULL;
    }
    size_t length = choices ? strcspn(choices, "|") : 0;
    if (length >= room)
        return 0;
    memcpy(text, choices ? choices : "", length);
    text[length] = 0;
    return length;
}

static bool set_choice(const struct option *o, struct value v, int *field, struct err *e)
{
    char name[32];
    for (int i = 0; option_choice(o->choices, i, name, sizeof name); i++) {
        if (strcmp(name, v.text) == 0) {
            *field = i;
            return true;
        }
    }
    return err_set(e, ERR_USAGE, "%s: \"%s\", expected one of %s", v.source, v.text, o->choices);
}

/* A whole number or a decimal one within the row's bounds. */
static bool parse_number(const struct option *o, struct value v, double *number, struct err *e)
{
    bool whole = o->type == OPTION_INT;
    char *end;
    errno = 0;
    *number = whole ? (double)strtoll(v.text, &end, 10) : strtod(v.text, &end);
    if (end != v.text && *end == 0 && errno == 0 && *number >= o->min && *number <= o->max)
        return true;
    return err_set(e, ERR_USAGE, "%s: \"%s\", expected a %s from %.10g to %.10g", v.source, v.text,
                   whole ? "whole number" : "number", o->min, o->max);
}

static bool append(struct value v, struct text_list *list, struct err *e)
{
    if (list->count == OPTION_LIST_MAX)
        return err_set(e, ERR_LIMIT, "%s: given more than %d times", v.source, OPTION_LIST_MAX);
    list->items[list->count++] = v.text;
    return true;
}

static bool set_value(const struct option *o, struct value v, void *settings, struct err *e)
{
    void *field = (char *)settings + o->offset;
    double number;

    switch (o->type) {
    case OPTION_FLAG:
        *(bool *)field = true;
        return true;
    case OPTION_INT:
        if (!parse_number(o, v, &number, e))
            return false;
        *(int *)field = (int)number;
        return true;
    case OPTION_REAL:
        return parse_number(o, v, field, e);
    case OPTION_TEXT:
        *(const char **)field = v.text;
        return true;
    case OPTION_CHOICE:
        return set_choice(o, v, field, e);
    case OPTION_LIST:
        return append(v, field, e);
    }
    return false;
}

/* Default, then environment. */
static bool preset_value(const struct option *o, void *settings, struct err *e)
{
    const char *env = o->env ? getenv(o->env) : NULL;
    if (o->preset && !set_value(o, (struct value){o->preset, o->name}, settings, e))
        return false;
    return !env || !*env || set_value(o, (struct value){env, o->env}, settings, e);
}

const struct option *option_at(const struct command *c, size_t n)
{
    for (const struct option_group *const *g = c->groups; *g; n -= (*g)->count, g++)
        if (n < (*g)->count)
            return &(*g)->rows[n];
    return NULL;
}

static bool preset_values(const struct command *c, void *settings, struct err *e)
{
    const struct option *o;
    for (size_t i = 0; (o = option_at(c, i)); i++)
        if (!preset_value(o, settings, e))
            return false;
    return true;
}

/* The row of "port", "port=80" (length 4) or NULL. */
static const struct option *find_long(const struct command *c, const char *name, size_t length)
{
    const struct option *o;
    for (size_t i = 0; (o = option_at(c, i)); i++)
        if (o->name && strlen(o->name) == length && strncmp(o->name, name, length) == 0)
            return o;
    return NULL;
}

static const struct option *find_letter(const struct command *c, char letter)
{
    const struct option *o;
    for (size_t i = 0; (o = option_at(c, i)); i++)
        if (o->letter && o->letter == letter)
            return o;
    return NULL;
}

/* The value of one option: glued to it, or the next word. */
static bool read_value(const struct option *o, const char *glued, char **args, int count, int *at,
                       void *settings, struct err *e)
{
    char source[64];
    snprintf(source, sizeof source, "--%s", o->name);
    if (o->type == OPTION_FLAG) {
        if (glued)
            return err_set(e, ERR_USAGE, "%s takes no value", source);
        return set_value(o, (struct value){"", source}, settings, e);
    }
    if (!glued && *at + 1 >= count)
        return err_set(e, ERR_USAGE, "%s needs a value: %s %s", source, source, o->argument);
    return set_value(o, (struct value){glued ? glued : args[++*at], source}, settings, e);
}

/* The letters of "-rn": flags, of which the last may be an option with a value. */
static bool read_letters(const struct command *c, char **args, int count, int *at, void *settings,
                         struct err *e)
{
    for (const char *letter = args[*at] + 1; *letter; letter++) {
        const struct option *o = find_letter(c, *letter);
        if (!o)
            return err_set(e, ERR_USAGE, "unknown option %.40s; see `ferry %s --help`", args[*at], c->name);
        if (o->type != OPTION_FLAG)
            return read_value(o, letter[1] ? letter + 1 : NULL, args, count, at, settings, e);
        if (!set_value(o, (struct value){"", o->name}, settings, e))
            return false;
    }
    return true;
}

/* Reads the option at args[*at] and moves *at over its value. */
static bool read_option(const struct command *c, char **args, int count, int *at, void *settings,
                        struct err *e)
{
    const char *arg = args[*at];
    if (arg[1] != '-')
        return read_letters(c, args, count, at, settings, e);
    size_t length = strcspn(arg + 2, "=");
    const char *glued = arg[2 + length] ? arg + 2 + length + 1 : NULL;
    const struct option *o = find_long(c, arg + 2, length);
    if (!o)
        return err_set(e, ERR_USAGE, "unknown option %.40s; see `ferry %s --help`", arg, c->name);
    return read_value(o, glued, args, count, at, settings, e);
}

static bool add_operand(const struct command *c, struct operands *o, char *text, struct err *e)
{
    if (o->count == c->max_operands)
        return err_set(e, ERR_USAGE, "unexpected argument \"%s\"; usage: ferry %s %s", text, c->name,
                       c->synopsis);
    o->items[o->count++] = text; /* never behind what is being read */
    return true;
}

static bool wants_help(char **args, int count)
{
    for (int i = 0; i < count && strcmp(args[i], "--") != 0; i++)
        if (strcmp(args[i], "--help") == 0 || strcmp(args[i], "-h") == 0)
            return true;
    return false;
}

bool options_read(const struct command *c, char **args, int count, void *settings, struct operands *o,
                  struct err *e)
{
    bool only_operands = false;

    *o = (struct operands){.items = args, .help = wants_help(args, count)};
    if (o->help)
        return true;
    if (!preset_values(c, settings, e))
        return false;
    for (int i = 0; i < count; i++) {
        if (!only_operands && strcmp(args[i], "--") == 0)
            only_operands = true;
        else if (!only_operands && args[i][0] == '-' && args[i][1] != 0) {
            if (!read_option(c, args, count, &i, settings, e))
                return false;
        } else if (!add_operand(c, o, args[i], e))
            return false;
    }
    return true;
}

static bool is_in(const struct option *o, const struct option_group *g)
{
    return o >= g->rows && o < g->rows + g->count;
}

/* The option that a word is, or, of flags that share a dash, the first of the group or the last. */
static const struct option *option_of(const struct command *c, const char *word, const struct option_group *g,
                                      bool *glued)
{
    const struct option *o = NULL;
    if (word[1] == '-') {
        size_t length = strcspn(word + 2, "=");
        *glued = word[2 + length] != 0;
        return find_long(c, word + 2, length);
    }
    for (const char *letter = word + 1; *letter && (o = find_letter(c, *letter)) && !is_in(o, g); letter++) {
        *glued = letter[1] != 0;
        if (o->type != OPTION_FLAG)
            break;
    }
    return o;
}

const struct option *option_given(const struct command *c, char *const *args, int count,
                                  const struct option_group *g)
{
    for (int i = 0; i < count && strcmp(args[i], "--") != 0; i++) {
        bool glued = false;
        if (args[i][0] != '-' || args[i][1] == 0)
            continue;
        const struct option *o = option_of(c, args[i], g, &glued);
        if (o && is_in(o, g))
            return o;
        i += o && o->type != OPTION_FLAG && !glued; /* over its value */
    }
    return NULL;
}
