#include "doctor/finding.h"

enum severity findings_worst(const struct findings *f)
{
    enum severity worst = SEVERITY_FINE;
    for (int i = 0; i < f->count; i++)
        if (f->items[i].severity > worst)
            worst = f->items[i].severity;
    return worst;
}

int findings_of(const struct findings *f, enum severity severity)
{
    int n = 0;
    for (int i = 0; i < f->count; i++)
        n += f->items[i].severity == severity;
    return n;
}
