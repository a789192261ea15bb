#include "doctor/finding.h"

int findings_of(const struct findings *f, enum severity severity)
{
    int n = 0;
    for (int i = 0; i < f->count; i++)
        n += f->items[i].severity == severity;
    return n;
}
