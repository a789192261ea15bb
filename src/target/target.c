#include "target/target.h"

#include "target/cloud_run.h"
#include "target/knative.h"
#include "target/local.h"

#include <string.h>

static const struct target *const targets[] = {&target_local, &target_cloud_run, &target_knative};

const struct target *target_at(size_t n)
{
    return n < sizeof targets / sizeof *targets ? targets[n] : NULL;
}

bool target_check_name(const char *name, struct err *e)
{
    size_t n = strlen(name);
    bool good = n > 0 && n <= TARGET_NAME_MAX && *name >= 'a' && *name <= 'z' && name[n - 1] != '-' &&
                strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
    return good || err_set(e, ERR_USAGE,
                           "\"%.80s\": expected a service's name: at most %d of a-z, 0-9 and -, a letter "
                           "first, no - at the end",
                           name, TARGET_NAME_MAX);
}
