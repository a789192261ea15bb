/* doctor.c: `ferry doctor`: what is wrong, why it matters, and what to do next. */
#include "base/catalog.h"
#include "cmd/commands.h"
#include "cmd/copying.h"
#include "cmd/doctor_fix.h"
#include "cmd/doctor_print.h"
#include "cmd/interrupt.h"
#include "cmd/terminal.h"
#include "doctor/ask.h"
#include "doctor/judge.h"
#include "store/uri.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ARENA_BYTES = 32 << 20, OPERANDS_MOST = 3 };

struct doctor_settings {
    const char *project, *region, *language;
    bool json, fix, yes;
};

static const struct option doctor_options[] = {
    {.name = "project",
     .letter = 'p',
     .type = OPTION_TEXT,
     .argument = "PROJECT",
     .offset = offsetof(struct doctor_settings, project),
     .help = "which project; GOOGLE_CLOUD_PROJECT or gcloud's core/project unless told"},
    {.name = "region",
     .letter = 'r',
     .type = OPTION_TEXT,
     .argument = "REGION",
     .offset = offsetof(struct doctor_settings, region),
     .help = "where the service is; found out, or gcloud's run/region unless told"},
    {.name = "fix",
     .type = OPTION_FLAG,
     .offset = offsetof(struct doctor_settings, fix),
     .help = "set right what is safe to, each thing shown and asked for; then look again"},
    {.name = "yes",
     .letter = 'y',
     .type = OPTION_FLAG,
     .offset = offsetof(struct doctor_settings, yes),
     .help = "with --fix: without asking"},
    {.name = "json",
     .type = OPTION_FLAG,
     .offset = offsetof(struct doctor_settings, json),
     .help = "print one JSON object with all findings"},
    {.name = "lang",
     .type = OPTION_TEXT,
     .argument = "ja|en",
     .offset = offsetof(struct doctor_settings, language),
     .help = "the language; that of LC_MESSAGES or LANG unless told"},
};

/* One run of the command. */
struct run {
    struct doctor_settings settings;
    struct doctor_case patient;
    struct arena *arena;
    struct http *http;
    struct gcloud_config config;
    struct err hub_problem;
    struct prices *prices;
    struct findings *found;
    json_t *record;
};

/* Trying again is for those who want an answer at any price; a doctor wants to know that there was none. */
static const struct retry_policy impatient = {
    .first_ms = 500, .cap_ms = 4000, .max_tries = 3, .max_seconds = 20, .longest_wait_s = 5};

/* --- what it is about --- */

static bool take_operand(struct run *r, const char *text, struct err *e)
{
    struct uri u;
    bool is_service = !strchr(text, '/') && !strchr(text, ':');
    if (is_service) {
        r->patient.service = text;
        return true;
    }
    if (!uri_parse(&u, text, r->arena, e))
        return false;
    if (u.scheme == URI_HF)
        r->patient.repo = u.place;
    else if (u.scheme == URI_GS) {
        r->patient.bucket = u.place;
        size_t n = strlen(u.path);
        r->patient.prefix = arena_strndup(r->arena, u.path, n && u.path[n - 1] == '/' ? n - 1 : n);
    } else
        return err_set(e, ERR_USAGE,
                       "%.200s: expected the name of a service, gs://BUCKET[/PREFIX] or hf://OWNER/NAME",
                       text);
    return true;
}

static bool take_operands(struct run *r, const struct operands *o, struct err *e)
{
    r->patient.project = r->settings.project;
    r->patient.region = r->settings.region;
    for (int i = 0; i < o->count; i++)
        if (!take_operand(r, o->items[i], e))
            return false;
    return true;
}

static bool choose_language(const struct run *r, struct err *e)
{
    const char *language = r->settings.language;
    return !language || catalog_use(language) ||
           err_set(e, ERR_USAGE, "--lang %.20s: expected ja or en", language);
}

/* --- asking and judging --- */

static void tell(void *arg, const char *question)
{
    (void)arg;
    fprintf(stderr, "\r\033[K%s %s…", _("looking at"), question);
    fflush(stderr);
}

static bool open_cloud(struct run *r, struct err *e)
{
    r->http = http_new(e);
    if (!r->http || !gcloud_config_read(&r->config, r->arena, e))
        return false;
    r->patient.cloud = cloud_new(r->http, &r->config, e);
    if (!r->patient.cloud)
        return false;
    cloud_set_retry(r->patient.cloud, &impatient);
    r->patient.hub = hub_new(r->http, &r->hub_problem);
    r->patient.hub_problem = r->hub_problem.text;
    r->patient.stop = interrupt_watch();
    if (terminal_is(STDERR_FILENO) && !r->settings.json)
        r->patient.asking = tell;
    return true;
}

static json_t *ask(struct run *r, struct err *e)
{
    json_t *record = doctor_ask(&r->patient, e);
    if (r->patient.asking)
        fputs("\r\033[K", stderr);
    return record;
}

/* Asks and judges; what was found before, and its record, are let go of. */
static bool look(struct run *r, struct err *e)
{
    json_decref(r->record);
    r->record = ask(r, e);
    if (!r->record)
        return false;
    r->found = arena_alloc(r->arena, 1, sizeof *r->found);
    if (!r->found)
        return err_set(e, ERR_MEMORY, "no memory for the findings");
    r->found->arena = r->arena;
    doctor_judge(r->record, r->prices, r->found);
    return true;
}

static bool conclude(const struct run *r, struct err *e)
{
    int problems = findings_of(r->found, SEVERITY_PROBLEM),
        warnings = findings_of(r->found, SEVERITY_WARNING);
    if (problems || warnings)
        return err_set(e, ERR_FINDINGS, "found problems: %d, warnings: %d", problems, warnings);
    return true;
}

static bool print(const struct run *r, struct err *e)
{
    if (r->settings.json)
        return print_json(doctor_json(r->found, r->record), e);
    doctor_print(r->found, r->record, stdout, STDOUT_FILENO);
    return true;
}

/* What was set right is looked at again: a remedy that did not help is told as what it is. */
static bool fix(struct run *r, struct err *e)
{
    const char *project =
        json_string_value(json_object_get(json_object_get(r->record, "subject"), "project"));
    struct doctor_fix x = {.cloud = r->patient.cloud,
                           .project = project ? project : "",
                           .yes = r->settings.yes,
                           .stop = r->patient.stop};
    if (!doctor_fix(&x, r->found, e))
        return false;
    return x.done == 0 || look(r, e);
}

/* With --fix people see first what is wrong, and programs only what is so in the end. */
static bool work(struct run *r, struct err *e)
{
    r->prices = prices_builtin(e);
    if (!r->prices || !look(r, e))
        return false;
    const struct findings *before = r->found;
    bool told = r->settings.fix && !r->settings.json;
    if (told && !print(r, e))
        return false;
    if (r->settings.fix && !fix(r, e))
        return false;
    return ((told && r->found == before) || print(r, e)) && conclude(r, e);
}

static void close_run(struct run *r)
{
    json_decref(r->record);
    prices_free(r->prices);
    hub_free(r->patient.hub);
    cloud_free(r->patient.cloud);
    http_free(r->http);
    arena_free(r->arena);
}

static bool run_doctor(const struct command *c, char **args, int count, struct err *e)
{
    struct run r = {.arena = arena_new(ARENA_BYTES)};
    struct operands o;
    bool ok =
        (r.arena || err_set(e, ERR_MEMORY, "no memory")) && options_read(c, args, count, &r.settings, &o, e);

    if (ok && o.help)
        help_command(stdout, c);
    else if (ok)
        ok = choose_language(&r, e) && take_operands(&r, &o, e) && open_cloud(&r, e) && work(&r, e);
    close_run(&r);
    return ok;
}

static const struct option_group doctor_group = {"Options", doctor_options,
                                                 sizeof doctor_options / sizeof *doctor_options};
static const struct option_group *const doctor_groups[] = {&doctor_group, NULL};

static const char *const doctor_examples[] = {
    "ferry doctor",
    "credentials, project, billing, APIs, permissions, what still costs",
    "ferry doctor demo --lang ja",
    "the service of that name, its bucket and its model too; in Japanese",
    "ferry doctor gs://my-models/qwen2-audio",
    "whether a model in a bucket is whole, who may read it, what it costs without use",
    NULL,
};

const struct command command_doctor = {
    .name = "doctor",
    .synopsis = "[NAME|gs://BUCKET/PREFIX|hf://OWNER/MODEL]... [options]",
    .summary = "find out what is wrong, why it matters, and what to do next",
    .about =
        "Looks at everything that a service on Cloud Run rests on, in the order in which it breaks, and "
        "tells for each thing that is wrong what is so, why it matters, how certain that is, and one next "
        "step. It only reads, unless told to --fix. Where Google does not tell the reason (a billing account "
        "that is not open, say), the possible ones are listed with how to recognise each.\n"
        "\n"
        "--fix does what costs nothing and takes nothing away: enables APIs, sets a bucket right, ends "
        "uploads "
        "that nobody has finished for over a week, lets the service read its bucket, hides credentials from "
        "other users. Everything else is yours to decide.\n"
        "\n"
        "Ends with 3 when it has found a problem or a warning.",
    .examples = doctor_examples,
    .groups = doctor_groups,
    .max_operands = OPERANDS_MOST,
    .run = run_doctor,
};
