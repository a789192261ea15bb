/* checked.h: sizes that do not wrap. Each answers false, and leaves *out alone, on overflow. */
#ifndef FERRY_BASE_CHECKED_H
#define FERRY_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>

__attribute__((warn_unused_result)) static inline bool checked_mul(size_t a, size_t b, size_t *out)
{
    size_t r;
    if (__builtin_mul_overflow(a, b, &r))
        return false;
    *out = r;
    return true;
}

__attribute__((warn_unused_result)) static inline bool checked_add(size_t a, size_t b, size_t *out)
{
    size_t r;
    if (__builtin_add_overflow(a, b, &r))
        return false;
    *out = r;
    return true;
}

#endif
