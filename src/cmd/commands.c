#include "cmd/commands.h"

#include <string.h>

static const struct command *const commands[] = {
    &command_plan,   &command_doctor, &command_up,     &command_stage,  &command_pack,  &command_serve,
    &command_deploy, &command_status, &command_logs,   &command_bench,  &command_down,  &command_exec,
    &command_ask,    &command_proxy,  &command_config, &command_bucket, &command_image, &command_cp,
    &command_ls,     &command_cat,    &command_rm,     &command_help,
};

const struct command *command_at(size_t n)
{
    return n < sizeof commands / sizeof *commands ? commands[n] : NULL;
}

/* Whether one slip of the finger (a letter missing, added, changed, or two swapped) lies between a and b. */
static bool one_slip(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    if (!*a && !*b)
        return false;
    if (*a && *b && a[1] == *b && *a == b[1])
        return strcmp(a + 2, b + 2) == 0;
    return (*a && *b && strcmp(a + 1, b + 1) == 0) || (*a && strcmp(a + 1, b) == 0) ||
           (*b && strcmp(a, b + 1) == 0);
}

const struct command *command_find(const char *name, struct err *e)
{
    const char *near = NULL;
    for (size_t i = 0; command_at(i); i++) {
        if (strcmp(command_at(i)->name, name) == 0)
            return command_at(i);
        if (one_slip(name, command_at(i)->name))
            near = command_at(i)->name;
    }
    if (near)
        err_set(e, ERR_USAGE, "there is no command \"%s\"; did you mean `ferry %s`?", name, near);
    else
        err_set(e, ERR_USAGE, "there is no command \"%s\"; `ferry --help` lists those there are", name);
    return NULL;
}
