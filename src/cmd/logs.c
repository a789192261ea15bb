/* logs.c: `ferry logs`: what a service has said. */
#include "cmd/commands.h"
#include "cmd/google.h"
#include "cmd/interrupt.h"
#include "cmd/service_name.h"

#include <errno.h>
#include <string.h>

enum { ARENA_BYTES = 16 << 20 };

struct logs_settings {
    struct google_settings google; /* first: google_group */
    const char *target;
    bool follow;
    int lines;
};

static const struct option logs_options[] = {
    {.name = "follow",
     .letter = 'f',
     .type = OPTION_FLAG,
     .offset = offsetof(struct logs_settings, follow),
     .help = "go on with each line that comes, until Ctrl-C"},
    {.name = "lines",
     .letter = 'n',
     .type = OPTION_INT,
     .argument = "N",
     .preset = "100",
     .max = 1e9,
     .offset = offsetof(struct logs_settings, lines),
     .help = "how many of the last lines"},
    {.name = "target",
     .type = OPTION_TEXT,
     .argument = "TARGET",
     .offset = offsetof(struct logs_settings, target),
     .help = "where the service is, when several targets have one of that name"},
};

/* Lines are JSON, in which control characters are escaped; what is not goes out without them. */
static bool print_line(void *arg, const char *line, size_t size, struct err *e)
{
    bool *follow = arg;
    for (size_t i = 0; i < size; i++)
        putchar((unsigned char)line[i] < 0x20 && line[i] != '\t' ? '?' : line[i]);
    putchar('\n');
    if (*follow)
        fflush(stdout);
    return !ferror(stdout) || err_errno(e, "cannot write to stdout");
}

static bool run_logs(const struct command *c, char **args, int count, struct err *e)
{
    struct logs_settings s = {0};
    struct target_service found;
    struct google google = {0};
    struct operands o;

    if (!options_read(c, args, count, &s, &o, e))
        return false;
    if (o.help) {
        help_command(stdout, c);
        return true;
    }
    if (!o.count)
        return err_set(e, ERR_USAGE, "whose? usage: ferry logs %s", c->synopsis);
    struct target_run r = {.arena = arena_new(ARENA_BYTES), .stop = interrupt_watch()};
    struct target_log_options wanted = {.lines = s.lines, .follow = s.follow};
    const struct target *t = r.arena && google_open(&google, &s.google, &r, e)
                                 ? service_target(&r, o.items[0], s.target, &found, e)
                                 : NULL;
    if (!r.arena)
        err_set(e, ERR_MEMORY, "no memory");
    bool ok = t && t->logs(&r, o.items[0], &wanted, print_line, &s.follow, e);
    google_close(&google);
    arena_free(r.arena);
    return ok;
}

static const struct option_group logs_group = {"Options", logs_options,
                                               sizeof logs_options / sizeof *logs_options};
static const struct option_group *const logs_groups[] = {&logs_group, &google_group, NULL};

static const char *const logs_examples[] = {
    "ferry logs demo -f",
    "what is said now",
    "ferry logs demo -n 1000 | jq 'select(.severity == \"ERROR\")'",
    "what went wrong",
    NULL,
};

const struct command command_logs = {
    .name = "logs",
    .synopsis = "NAME [-f] [-n N]",
    .summary = "what a service has said",
    .about = "Prints the last lines of a service's log, one JSON object each, as its server and, on this "
             "machine, the process that holds its port have written them; of one on Cloud Run those that "
             "Cloud Logging "
             "has.",
    .examples = logs_examples,
    .groups = logs_groups,
    .max_operands = 1,
    .run = run_logs,
};
