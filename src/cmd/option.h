/* option.h: what a command can be told, as rows of a table. Parsing, --help, the man page and the list of
 * environment variables come from the same rows.
 *
 * A value comes from the row's default, else from its environment variable, else from the command line: the
 * later wins. An empty environment variable counts as unset. */
#ifndef FERRY_CMD_OPTION_H
#define FERRY_CMD_OPTION_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum option_type {
    OPTION_FLAG,   /* bool: present or not */
    OPTION_INT,    /* int within min..max */
    OPTION_REAL,   /* double within min..max */
    OPTION_TEXT,   /* const char *, as given */
    OPTION_CHOICE, /* int: which of `choices`, counted from 0 */
    OPTION_LIST,   /* struct text_list: may be given several times */
};

enum { OPTION_LIST_MAX = 64, OPERANDS_ANY = -1 };

struct text_list {
    const char *items[OPTION_LIST_MAX];
    int count;
};

struct option {
    const char *name; /* "port" for --port; NULL: only the environment can say it (secrets) */
    char letter;      /* 'p' for -p, or 0 */
    enum option_type type;
    const char *argument; /* what --help calls the value: "PORT"; NULL for a flag */
    const char *env;      /* "PORT", or NULL */
    const char *preset;   /* the default, written as a user would; NULL: the field stays as it was */
    const char *choices;  /* "auto|bf16|q8|f32" for OPTION_CHOICE */
    double min, max;      /* for OPTION_INT and OPTION_REAL */
    size_t offset;        /* of the field in the settings struct */
    const char *help;     /* one sentence without a full stop */
};

/* Rows that stand together in --help. Several commands may share a group; its offsets then count from the
 * start of a struct that is the first member of each command's settings. */
struct option_group {
    const char *title; /* "Options" */
    const struct option *rows;
    size_t count;
};

/* One subcommand. */
struct command {
    const char *name;
    const char *synopsis;                     /* "FOLDER [options]" */
    const char *summary;                      /* one line for `ferry --help` */
    const char *about;                        /* paragraphs for its own --help and the man page */
    const char *const *examples;              /* pairs of command line and comment, ended by NULL */
    const struct option_group *const *groups; /* ended by NULL */
    int max_operands;                         /* OPERANDS_ANY: no limit */
    /* args: what follows the name. Returns false with *e set; what it prints is the command's result. */
    bool (*run)(const struct command *c, char **args, int count, struct err *e);
};

/* What stands on the command line and is not an option, in its order: the front of args, which options_read
 * rearranges for it, so that a shell may expand a wildcard into any number. */
struct operands {
    char **items;
    int count;
    bool help; /* --help or -h was there: nothing else was looked at */
};

/* Fills the settings struct from defaults, environment and args, which the settings point into; a field that
 * none of them mentions stays as the caller left it. "--" ends the options; "-" is an operand; flags may
 * share a dash ("-rn"). False with *e (ERR_USAGE) naming the option or the variable, what was given and what
 * is expected. */
bool options_read(const struct command *c, char **args, int count, void *settings, struct operands *o,
                  struct err *e);

/* The first option on a command line that options_read would take and that is a row of this group; NULL: none
 * is. Before options_read, which rearranges args. */
const struct option *option_given(const struct command *c, char *const *args, int count,
                                  const struct option_group *g);

/* The n-th row of all groups; NULL behind the last. */
const struct option *option_at(const struct command *c, size_t n);

/* The n-th of choices ("auto|bf16|q8|f32") into text; its length, 0 when there is none. */
size_t option_choice(const char *choices, int n, char *text, size_t room);

#endif
