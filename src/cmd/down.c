/* down.c: `ferry down`: a service taken away. */
#include "cmd/commands.h"
#include "cmd/confirm.h"
#include "cmd/down_bucket.h"
#include "cmd/google.h"
#include "cmd/interrupt.h"
#include "cmd/service_name.h"

#include <stdio.h>

enum { ARENA_BYTES = 16 << 20 };

struct down_settings {
    struct google_settings google; /* first: google_group */
    const char *target;
    bool bucket, yes;
};

static const struct option down_options[] = {
    {.name = "target",
     .type = OPTION_TEXT,
     .argument = "TARGET",
     .offset = offsetof(struct down_settings, target),
     .help = "where the service is, when several targets have one of that name"},
    {.name = "bucket",
     .type = OPTION_FLAG,
     .offset = offsetof(struct down_settings, bucket),
     .help =
         "its model's folder and its live configuration, too, and the bucket when it is Ferry's and empty"},
    {.name = "yes",
     .letter = 'y',
     .type = OPTION_FLAG,
     .offset = offsetof(struct down_settings, yes),
     .help = "do not ask before a service on Cloud Run is removed"},
};

static void say(void *arg, const char *line)
{
    (void)arg;
    fprintf(stderr, "%s\n", line);
}

/* Here a deploy brings it back in a second; at Google it has users. */
static bool may_go(const struct target_service *s, bool yes, struct err *e)
{
    char question[300];
    if (!s->region)
        return true;
    snprintf(question, sizeof question,
             "remove the service %s in %s, its service account, and images nothing else uses?", s->name,
             s->region);
    return confirm(question, yes, e);
}

static bool destroy_all(struct target_run *r, struct down_bucket *d, const struct target_service *s, bool yes,
                        struct err *e)
{
    const struct cloud_run_more more = {down_bucket_remove, d};
    return down_bucket_print(d, e) && confirm("remove all of this?", yes, e) && down_bucket_note(d, e) &&
           cloud_run_destroy(r, s->name, &more, e);
}

static bool destroy_with_bucket(struct target_run *r, const struct target_service *s, bool yes, struct err *e)
{
    if (!s->region)
        return err_set(e, ERR_USAGE, "--bucket: %s runs on this machine; it is for services on Cloud Run",
                       s->name);
    struct down_bucket *d = down_bucket_look(r, s, e);
    bool ok = d && destroy_all(r, d, s, yes, e);
    down_bucket_free(d);
    return ok;
}

static bool run_down(const struct command *c, char **args, int count, struct err *e)
{
    struct down_settings s = {0};
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
        return err_set(e, ERR_USAGE, "which service? usage: ferry down %s", c->synopsis);
    struct target_run r = {.arena = arena_new(ARENA_BYTES), .stop = interrupt_watch(), .say = say};
    const struct target *t = r.arena && google_open(&google, &s.google, &r, e)
                                 ? service_target(&r, o.items[0], s.target, &found, e)
                                 : NULL;
    if (!r.arena)
        err_set(e, ERR_MEMORY, "no memory");
    bool ok = t && (s.bucket ? destroy_with_bucket(&r, &found, s.yes, e)
                             : may_go(&found, s.yes, e) && t->destroy(&r, o.items[0], e));
    if (ok)
        printf("%s is down\n", o.items[0]);
    google_close(&google);
    arena_free(r.arena);
    return ok;
}

static const struct option_group down_group = {"Options", down_options,
                                               sizeof down_options / sizeof *down_options};
static const struct option_group *const down_groups[] = {&down_group, &google_group, NULL};

static const char *const down_examples[] = {
    "ferry down demo",
    "its port, its processes and its log are gone",
    "ferry down qwen --yes",
    "the same of one on Cloud Run, without being asked",
    "ferry down qwen --bucket",
    "and what lies in the bucket for it: all is listed first, and asked about once",
    NULL,
};

const struct command command_down = {
    .name = "down",
    .synopsis = "NAME [options]",
    .summary = "take a service away",
    .about =
        "Ends a service and removes all that `ferry deploy` has made for it, and returns when it is gone. "
        "On Cloud Run these are the service, its service account with its rights on buckets, the "
        "secret with its key if `ferry deploy` made it, and the repository of "
        "images once no service in the region is left; one that was interrupted goes on. "
        "Running answers get 8 seconds to finish. The model and the live configuration stay where they "
        "are.\n"
        "\n"
        "With --bucket these go, too: what is listed is removed, service first, then images, objects, the "
        "bucket "
        "when Ferry has made it and nothing else lies in it, and the service account at last; then it is "
        "looked "
        "whether all is gone. What another service reads stays. Interrupted anywhere, the same command goes "
        "on. A bucket with soft delete keeps, and charges for, what was deleted for some days more.",
    .examples = down_examples,
    .groups = down_groups,
    .max_operands = 1,
    .run = run_down,
};
