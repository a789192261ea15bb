#include "cmd/byte_range.h"

#include <errno.h>
#include <stdlib.h>

/* A number at *text, which moves behind it. */
static bool take_number(const char **text, uint64_t *number)
{
    char *end;
    if (**text < '0' || **text > '9')
        return false;
    errno = 0;
    *number = strtoull(*text, &end, 10);
    *text = end;
    return errno == 0;
}

static bool parse(struct byte_range *r, const char *at)
{
    *r = (struct byte_range){.last = UINT64_MAX};
    if (*at == '-') {
        at++;
        return take_number(&at, &r->tail) && *at == 0 && r->tail > 0;
    }
    if (!take_number(&at, &r->first) || *at++ != '-')
        return false;
    return *at == 0 || (take_number(&at, &r->last) && *at == 0 && r->first <= r->last);
}

bool byte_range_parse(struct byte_range *r, const char *text, struct err *e)
{
    if (parse(r, text))
        return true;
    return err_set(
        e, ERR_USAGE,
        "--range: \"%.60s\", expected bytes counted from 0: 0-99 (the first hundred), 100- (all from "
        "there on) or -100 (the last hundred)",
        text);
}

void byte_range_of(const struct byte_range *r, uint64_t size, uint64_t *offset, uint64_t *length)
{
    if (r->tail) {
        *length = r->tail < size ? r->tail : size;
        *offset = size - *length;
        return;
    }
    *offset = r->first < size ? r->first : size;
    *length = r->last < size ? r->last - *offset + 1 : size - *offset;
    if (r->first >= size)
        *length = 0;
}
