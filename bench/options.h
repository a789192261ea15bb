/* options.h: a bench program's command line, from a table of "--name VALUE" rows. */
#ifndef FERRY_BENCH_OPTIONS_H
#define FERRY_BENCH_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

enum option_type {
    OPTION_TEXT,   /* place: const char * */
    OPTION_NUMBER, /* place: int, 1 or more */
    OPTION_FLAG,   /* place: bool; takes no value */
};

struct option_row {
    const char *name; /* without the dashes */
    enum option_type type;
    void *place;
};

/* Fills the places. rest: where the one argument that is no option goes; NULL when there must be none. False
 * when anything is unknown, missing or too much: show the usage. */
bool options_parse(int argc, char **argv, const struct option_row *rows, size_t count, const char **rest);

/* The index of name in names[0..count), or -1. */
int options_choose(const char *name, const char *const *names, int count);

#endif
