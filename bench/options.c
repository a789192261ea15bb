#include "options.h"

#include <stdlib.h>
#include <string.h>

int options_choose(const char *name, const char *const *names, int count)
{
    for (int i = 0; i < count; i++)
        if (strcmp(name, names[i]) == 0)
            return i;
    return -1;
}

static const struct option_row *find(const char *name, const struct option_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(name, rows[i].name) == 0)
            return &rows[i];
    return NULL;
}

static bool set(const struct option_row *row, const char *value)
{
    char *end;
    if (row->type == OPTION_TEXT) {
        *(const char **)row->place = value;
        return true;
    }
    long number = strtol(value, &end, 10);
    *(int *)row->place = (int)number;
    return *value && !*end && number > 0 && number < 1000000;
}

bool options_parse(int argc, char **argv, const struct option_row *rows, size_t count, const char **rest)
{
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) != 0) {
            if (!rest || *rest)
                return false;
            *rest = argv[i];
            continue;
        }
        const struct option_row *row = find(argv[i] + 2, rows, count);
        if (!row)
            return false;
        if (row->type == OPTION_FLAG)
            *(bool *)row->place = true;
        else if (++i == argc || !set(row, argv[i]))
            return false;
    }
    return !rest || *rest;
}
