/* status.c: `ferry status`: what runs. */
#include "cmd/commands.h"
#include "cmd/google.h"
#include "cmd/interrupt.h"
#include "cmd/inventory_report.h"
#include "cmd/service_client.h"
#include "cmd/service_report.h"
#include "cmd/watch.h"
#include "plan/regions.h"

#include <stdio.h>
#include <time.h>

enum { ARENA_BYTES = 16 << 20 };

struct status_settings {
    const char *project;
    bool json, watch;
    double seconds;
    int count;
    const char *region, *api_key;
};

static const struct option status_options[] = {
    {.name = "json",
     .type = OPTION_FLAG,
     .offset = offsetof(struct status_settings, json),
     .help = "print one JSON object: services, what else there is, and what they cost"},
    {.name = "watch",
     .letter = 'w',
     .type = OPTION_FLAG,
     .offset = offsetof(struct status_settings, watch),
     .help =
         "look again and again, until Ctrl-C; a JSON object in a line per look where there is no terminal"},
    {.name = "every",
     .type = OPTION_REAL,
     .argument = "SECONDS",
     .preset = "1",
     .min = 0.05,
     .max = 86400,
     .offset = offsetof(struct status_settings, seconds),
     .help = "between looks"},
    {.name = "count",
     .letter = 'n',
     .type = OPTION_INT,
     .argument = "N",
     .max = 1e9,
     .offset = offsetof(struct status_settings, count),
     .help = "end after so many looks; 0: go on"},
    {.name = "project",
     .type = OPTION_TEXT,
     .argument = "PROJECT",
     .offset = offsetof(struct status_settings, project),
     .help = "Google's project; gcloud's unless told (GOOGLE_CLOUD_PROJECT, or its configuration)"},
    {.name = "region",
     .type = OPTION_TEXT,
     .argument = "REGION",
     .preset = REGION_DEFAULT,
     .offset = offsetof(struct status_settings, region),
     .help = "whose prices the cost is told in"},
    {.type = OPTION_TEXT,
     .env = "FERRY_API_KEY",
     .offset = offsetof(struct status_settings, api_key),
     .help = "the key that a service asks for"},
};

static bool print(const struct inventory *v, bool json, struct err *e)
{
    struct prices *p = prices_builtin(e);
    bool ok = p && (!json || service_print_json(inventory_json(v, p), e));
    if (ok && !json)
        inventory_print(v, p, (int64_t)time(NULL));
    prices_free(p);
    return ok;
}

static bool watch_services(const struct status_settings *s, const char *which, struct err *e)
{
    if (!region_find(s->region))
        return err_set(e, ERR_USAGE,
                       "--region: \"%.60s\" is not a region of Cloud Run; asia-northeast1 is one", s->region);
    struct watch_options o = {.which = which,
                              .api_key = s->api_key,
                              .region = s->region,
                              .seconds = s->seconds,
                              .count = s->count,
                              .json = s->json};
    return watch(&o, e);
}

static bool run_status(const struct command *c, char **args, int count, struct err *e)
{
    struct status_settings s = {0};
    struct inventory all = {0};
    struct google google = {0};
    struct operands o;

    if (!options_read(c, args, count, &s, &o, e))
        return false;
    if (o.help) {
        help_command(stdout, c);
        return true;
    }
    if (o.count && service_is_url(o.items[0]) && !s.watch)
        return err_set(e, ERR_USAGE, "an address can be watched: ferry status %.200s --watch", o.items[0]);
    if (s.watch)
        return watch_services(&s, o.count ? o.items[0] : NULL, e);
    struct target_run r = {.arena = arena_new(ARENA_BYTES), .stop = interrupt_watch()};
    bool ok = (r.arena || err_set(e, ERR_MEMORY, "no memory")) &&
              google_open(&google, &(struct google_settings){.project = s.project}, &r, e) &&
              inventory_take(&all, &r, o.count ? o.items[0] : NULL, e) && print(&all, s.json, e);
    inventory_clear(&all);
    google_close(&google);
    arena_free(r.arena);
    return ok;
}

static const struct option_group status_group = {"Options", status_options,
                                                 sizeof status_options / sizeof *status_options};
static const struct option_group *const status_groups[] = {&status_group, NULL};

static const char *const status_examples[] = {
    "ferry status",
    "all services of this account on this machine, and what costs in the project",
    "ferry status demo --json",
    "one, for a program",
    "ferry status --watch",
    "load, slots, tokens a second, memory and cost, drawn anew each second",
    "ferry status http://localhost:8080 --watch --every 10 >> looks.jsonl",
    "of a service that was not deployed from here, into a file",
    NULL,
};

const struct command command_status = {
    .name = "status",
    .synopsis = "[NAME|URL] [options]",
    .summary = "what runs and what costs: services, jobs, VMs, images, buckets",
    .about =
        "Lists what `ferry deploy` has made: asleep (the next request starts it), starting, awake, "
        "stopping, failed (with the reason, and when the next try may be), or gone (what holds its port "
        "was killed: deploy it again, or take it down). Asking wakes nothing. Where gcloud has a project, or "
        "--project names one, its services on Cloud Run are listed too: ready, updating, failed, or half "
        "made (a deploy or a down was interrupted); and all else there that Ferry has made, by its label "
        "managed-by=ferry: jobs, VMs, images and buckets, with what they hold. Each is told with what it "
        "costs an hour and a month while nobody asks, by the prices that `ferry plan` goes by, and the sum; "
        "a "
        "price that they do not have is unknown. What cannot be listed, because an API is off or a right is "
        "missing, is one line, and the rest is told. With NAME that service alone.\n"
        "\n"
        "With --watch what each tells at /metrics is drawn: how far the model is loaded, requests that run "
        "and "
        "wait, tokens a second since the look before, memory, and what an instance of that size would have "
        "cost on Cloud Run since this one began, were it billed all the time: the most that it can be. A "
        "service that is not Ferry's `deploy`ed one is watched by its address.",
    .examples = status_examples,
    .groups = status_groups,
    .max_operands = 1,
    .run = run_status,
};
