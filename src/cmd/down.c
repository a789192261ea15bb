/* down.c: `ferry down`: a service taken away. */
#include "cmd/commands.h"
#include "cmd/interrupt.h"
#include "cmd/service_name.h"

enum { ARENA_BYTES = 16 << 20 };

struct down_settings {
    const char *target;
};

static const struct option down_options[] = {
    {.name = "target",
     .type = OPTION_TEXT,
     .argument = "TARGET",
     .offset = offsetof(struct down_settings, target),
     .help = "where the service is, when several targets have one of that name"},
};

static void say(void *arg, const char *line)
{
    (void)arg;
    fprintf(stderr, "%s\n", line);
}

static bool run_down(const struct command *c, char **args, int count, struct err *e)
{
    struct down_settings s = {0};
    struct target_service found;
    struct operands o;

    if (!options_read(c, args, count, &s, &o, e))
        return false;
    if (o.help) {
        help_command(stdout, c);
        return true;
    }
    if (!o.count)
        return err_set(e, ERR_USAGE, "which service? usage: ferry down %s", c->synopsis);
    struct target_run r = {.arena = arena_new(ARENA_BYTES), .stop = interrupt_watch(), .say = say};
    const struct target *t = r.arena ? service_target(&r, o.items[0], s.target, &found, e) : NULL;
    if (!r.arena)
        err_set(e, ERR_MEMORY, "no memory");
    bool ok = t && t->destroy(&r, o.items[0], e);
    if (ok)
        printf("%s is down\n", o.items[0]);
    arena_free(r.arena);
    return ok;
}

static const struct option_group down_group = {"Options", down_options,
                                               sizeof down_options / sizeof *down_options};
static const struct option_group *const down_groups[] = {&down_group, NULL};

static const char *const down_examples[] = {
    "ferry down demo",
    "its port, its processes and its log are gone",
    NULL,
};

const struct command command_down = {
    .name = "down",
    .synopsis = "NAME [options]",
    .summary = "take a service away",
    .about =
        "Ends a service and removes all that `ferry deploy` has made for it, and returns when it is gone. "
        "Running answers get 8 seconds to finish. The model and the live configuration stay where they "
        "are.",
    .examples = down_examples,
    .groups = down_groups,
    .max_operands = 1,
    .run = run_down,
};
