#include "cmd/byte_size.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct unit {
    const char *name; /* each may end in B */
    double bytes;
} units[] = {
    {"", 1},     {"k", 1e3},   {"K", 1e3},      {"M", 1e6},         {"G", 1e9},
    {"T", 1e12}, {"Ki", 1024}, {"Mi", 1048576}, {"Gi", 1073741824}, {"Ti", 1099511627776},
};

static const struct unit *find_unit(const char *text)
{
    size_t n = strlen(text);
    if (n > 0 && text[n - 1] == 'B')
        n--;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strlen(units[i].name) == n && strncmp(units[i].name, text, n) == 0)
            return &units[i];
    return NULL;
}

bool byte_size_parse(const char *text, const char *what, uint64_t *bytes, struct err *e)
{
    char digits[24] = "", *end = digits;
    size_t n = strspn(text, "0123456789.");
    memcpy(digits, text, n < sizeof digits ? n : 0);
    double value = strtod(digits, &end);
    const struct unit *u = *digits && !*end ? find_unit(text + n) : NULL;
    double most = ldexp(1, 53);
    if (!u || value * u->bytes < 1 || value * u->bytes > most)
        return err_set(e, ERR_USAGE, "%s: \"%.40s\", expected an amount such as 32Gi, 512Mi or 16.8GB", what,
                       text);
    *bytes = (uint64_t)(value * u->bytes);
    return true;
}
