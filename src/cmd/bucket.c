/* bucket.c: `ferry bucket create|show|fix`. */
#include "cmd/bucket.h"

#include "cloud/storage.h"
#include "cmd/commands.h"
#include "cmd/confirm.h"
#include "cmd/copying.h"
#include "cmd/terminal.h"
#include "doctor/bucket_plan.h"
#include "store/store.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ARENA_BYTES = 4 << 20 };

struct bucket_settings {
    const char *region, *project, *soft_delete;
    int expire_days;
    bool yes, dry_run, json;
};

static const struct option bucket_options[] = {
    {.name = "region",
     .letter = 'r',
     .type = OPTION_TEXT,
     .argument = "REGION",
     .offset = offsetof(struct bucket_settings, region),
     .help =
         "where it lies, such as asia-northeast1; for create gcloud's run/region or compute/region unless "
         "told"},
    {.name = "project",
     .letter = 'p',
     .type = OPTION_TEXT,
     .argument = "PROJECT",
     .offset = offsetof(struct bucket_settings, project),
     .help = "whose it will be; GOOGLE_CLOUD_PROJECT or gcloud's core/project unless told"},
    {.name = "expire-days",
     .type = OPTION_INT,
     .argument = "N",
     .max = 36500,
     .offset = offsetof(struct bucket_settings, expire_days),
     .help = "delete every object after N days; 0: never"},
    {.name = "soft-delete",
     .type = OPTION_TEXT,
     .argument = "off|DAYS",
     .offset = offsetof(struct bucket_settings, soft_delete),
     .help = "keep, and pay for, deleted objects for 7 to 90 days, or off; Google's default is 7 days"},
    {.name = "yes",
     .letter = 'y',
     .type = OPTION_FLAG,
     .offset = offsetof(struct bucket_settings, yes),
     .help = "fix without asking"},
    {.name = "dry-run",
     .type = OPTION_FLAG,
     .offset = offsetof(struct bucket_settings, dry_run),
     .help = "print the request that would be sent, and send nothing"},
    {.name = "json",
     .type = OPTION_FLAG,
     .offset = offsetof(struct bucket_settings, json),
     .help = "print the bucket as JSON"},
};

/* One run of the command. */
struct bucket {
    struct bucket_settings settings;
    struct bucket_wish wish;
    const char *name;
    struct stores *stores;
    struct arena *arena;
};

/* --- what is asked for --- */

static bool read_soft_delete(struct bucket *b, struct err *e)
{
    const char *text = b->settings.soft_delete;
    char *end;
    b->wish.soft_delete_days = BUCKET_UNSAID;
    if (!text)
        return true;
    b->wish.soft_delete_days = strcmp(text, "off") == 0 ? 0 : (int)strtol(text, &end, 10);
    if (strcmp(text, "off") == 0 ||
        (*text && !*end && b->wish.soft_delete_days >= 7 && b->wish.soft_delete_days <= 90))
        return true;
    return err_set(e, ERR_USAGE, "--soft-delete: \"%.40s\", expected off or a number of days from 7 to 90",
                   text);
}

/* "us", "asia", "eur4": places of several regions, from where a service in one of them reads at a price. */
static bool check_region(const char *region, struct err *e)
{
    if (!region || (strchr(region, '-') && strpbrk(region, "0123456789")))
        return true;
    return err_set(e, ERR_USAGE, "--region: \"%.60s\", expected one region, such as asia-northeast1", region);
}

static bool read_wish(struct bucket *b, const char *name, struct err *e)
{
    struct uri u;
    bool is_uri = strncmp(name, "gs://", 5) == 0;
    char *text = arena_printf(b->arena, "%s%s", is_uri ? "" : "gs://", name);

    if (!text)
        return err_set(e, ERR_MEMORY, "no memory");
    if (!uri_parse(&u, text, b->arena, e))
        return false;
    if (*u.path)
        return err_set(e, ERR_USAGE, "%s: expected the name of a bucket alone: %s", name, u.place);
    b->name = u.place;
    b->wish.region = b->settings.region;
    b->wish.expire_days = b->settings.expire_days;
    return read_soft_delete(b, e) && check_region(b->wish.region, e);
}

/* --- printing --- */

static void print_facts(const struct bucket_fact facts[BUCKET_FACTS], bool all)
{
    const char *bold = terminal_style(STDOUT_FILENO, STYLE_BOLD);
    const char *plain = terminal_style(STDOUT_FILENO, STYLE_PLAIN);
    for (int i = 0; i < BUCKET_FACTS; i++) {
        const struct bucket_fact *f = &facts[i];
        if (f->state == BUCKET_FINE && all)
            printf("  %-20s%s\n", f->name, f->is);
        else if (f->state != BUCKET_FINE)
            printf("%s! %-20s%s%s, wanted: %s%s\n", bold, f->name, f->is, plain, f->wanted,
                   f->state == BUCKET_STUCK ? " (needs another bucket)" : "");
    }
}

static bool show(const struct bucket *b, json_t *bucket, struct err *e)
{
    struct bucket_fact facts[BUCKET_FACTS];
    const char *created = json_string_value(json_object_get(bucket, "timeCreated"));
    if (b->settings.json)
        return print_json(json_incref(bucket), e);
    bucket_compare(bucket, &b->wish, facts);
    printf("gs://%s\n", b->name);
    print_facts(facts, true);
    if (created)
        printf("  %-20s%s\n", "created", created);
    if (bucket_count(facts, BUCKET_DIFFERS))
        printf("`ferry bucket fix %s` sets right what is marked.\n", b->name);
    return true;
}

/* A request as --dry-run shows it. */
static bool print_request(const struct bucket *b, const char *method, const char *rest, json_t *body,
                          struct err *e)
{
    const char *endpoint = cloud_endpoint(stores_cloud(b->stores), "storage");
    char *text = body ? json_dumps(body, JSON_INDENT(2)) : NULL;
    json_decref(body);
    if (!text || !endpoint) {
        free(text);
        return err_set(e, ERR_MEMORY, "no memory for the request");
    }
    printf("%s %s/storage/v1/b%s\n%s\n", method, endpoint, rest, text);
    free(text);
    return true;
}

/* --- create --- */

static const char *default_region(const struct gcloud_config *c)
{
    const char *region = gcloud_property(c, "run", "region", NULL);
    return region ? region : gcloud_property(c, "compute", "region", NULL);
}

static bool complete_wish(struct bucket *b, const char **project, struct err *e)
{
    struct gcloud_config config = {0};
    if (!gcloud_config_read(&config, b->arena, e))
        return false;
    *project = b->settings.project ? b->settings.project : gcloud_project(&config, NULL);
    if (!b->wish.region)
        b->wish.region = default_region(&config);
    if (!*project)
        return err_set(e, ERR_USAGE, "in which project? --project PROJECT, or set GOOGLE_CLOUD_PROJECT");
    if (!b->wish.region)
        return err_set(e, ERR_USAGE,
                       "in which region? --region asia-northeast1, say: the one the service runs in");
    return check_region(b->wish.region, e);
}

/* A bucket that exists cannot be moved. */
static bool check_place(const struct bucket *b, const json_t *bucket, struct err *e)
{
    struct bucket_fact facts[BUCKET_FACTS];
    bucket_compare(bucket, &b->wish, facts);
    return !bucket_count(facts, BUCKET_STUCK) ||
           err_set(e, ERR_BUSY, "gs://%s exists already, in %s; wanted: %s. Take another name", b->name,
                   facts[0].is, facts[0].wanted);
}

/* The name is taken. By a bucket of ours that is as it should be: then that is what was asked for. */
static bool take_existing(struct bucket *b, struct err *e)
{
    struct err problem = {0};
    json_t *bucket = bucket_get(stores_cloud(b->stores), b->name, &problem);

    if (!bucket)
        return err_set(e, ERR_BUSY,
                       "gs://%s belongs to somebody else; names are shared by all, take another: %.300s",
                       b->name, problem.text);
    bool ok = check_place(b, bucket, e);
    if (ok && !b->settings.json)
        printf("gs://%s exists already.\n", b->name);
    ok = ok && show(b, bucket, e);
    json_decref(bucket);
    return ok;
}

/* The body is let go of. */
static bool send_create(struct bucket *b, const char *project, json_t *body, struct err *e)
{
    struct err problem = {0};
    json_t *bucket = bucket_create(stores_cloud(b->stores), project, body, &problem);
    json_decref(body);
    if (!bucket && problem.kind == ERR_BUSY)
        return take_existing(b, e);
    if (!bucket) {
        *e = problem;
        return false;
    }
    bool ok = show(b, bucket, e);
    json_decref(bucket);
    return ok;
}

static bool create(struct bucket *b, struct err *e)
{
    const char *project;

    if (!complete_wish(b, &project, e))
        return false;
    json_t *body = bucket_body(b->name, &b->wish);
    if (!body)
        return err_set(e, ERR_MEMORY, "no memory for the request");
    if (b->settings.dry_run) {
        char *rest = arena_printf(b->arena, "?project=%s&projection=noAcl", project);
        return print_request(b, "POST", rest ? rest : "", body, e);
    }
    return send_create(b, project, body, e);
}

/* --- for other commands --- */

static struct bucket for_models(struct stores *stores, const char *name, const char *region)
{
    return (struct bucket){.wish = {.region = region, .expire_days = BUCKET_UNSAID, .soft_delete_days = 0},
                           .name = name,
                           .stores = stores};
}

bool bucket_look(struct stores *stores, const char *name, const char *region, bool *there, struct err *e)
{
    struct bucket b = for_models(stores, name, region);
    struct err problem = {0};
    json_t *bucket = bucket_get(stores_cloud(stores), name, &problem);

    *there = bucket != NULL;
    if (!bucket && problem.kind != ERR_NOT_FOUND) {
        *e = problem;
        return err_wrap(e, "bucket gs://%s", name);
    }
    bool ok = !bucket || check_place(&b, bucket, e);
    json_decref(bucket);
    return ok;
}

bool bucket_make(struct stores *stores, const char *project, const char *name, const char *region,
                 struct err *e)
{
    struct bucket b = for_models(stores, name, region);
    json_t *body = bucket_body(name, &b.wish);
    return body ? send_create(&b, project, body, e) : err_set(e, ERR_MEMORY, "no memory for the request");
}

/* --- fix --- */

static bool send_fix(struct bucket *b, json_t *bucket, json_t *patch, struct err *e)
{
    const char *text = json_string_value(json_object_get(bucket, "metageneration"));
    int64_t metageneration = text ? atoll(text) : STORAGE_ANY_GENERATION;
    char question[400];

    snprintf(question, sizeof question, "Change gs://%s so?", b->name);
    if (!confirm(question, b->settings.yes, e))
        return false;
    json_t *fixed = bucket_patch(stores_cloud(b->stores), b->name, metageneration, patch, e);
    bool ok = fixed && show(b, fixed, e);
    json_decref(fixed);
    return ok;
}

static bool fix(struct bucket *b, json_t *bucket, struct err *e)
{
    struct bucket_fact facts[BUCKET_FACTS];

    bucket_compare(bucket, &b->wish, facts);
    int stuck = bucket_count(facts, BUCKET_STUCK);
    if (!b->settings.json) {
        printf("gs://%s\n", b->name);
        print_facts(facts, false);
    }
    if (!bucket_count(facts, BUCKET_DIFFERS)) {
        if (stuck)
            return err_set(e, ERR_UNSUPPORTED,
                           "gs://%s: its location cannot be changed; create another bucket and "
                           "copy with `ferry cp -r`",
                           b->name);
        if (!b->settings.json)
            puts("  all is as it should be");
        return !b->settings.json || show(b, bucket, e);
    }
    json_t *patch = bucket_fix(bucket, &b->wish);
    if (!patch)
        return err_set(e, ERR_MEMORY, "no memory for the request");
    if (b->settings.dry_run)
        return print_request(b, "PATCH", arena_printf(b->arena, "/%s", b->name), patch, e);
    bool ok = send_fix(b, bucket, patch, e);
    json_decref(patch);
    return ok;
}

/* --- all --- */

static bool with_bucket(struct bucket *b, bool (*fn)(struct bucket *, json_t *, struct err *), struct err *e)
{
    json_t *bucket = bucket_get(stores_cloud(b->stores), b->name, e);
    bool ok = bucket && fn(b, bucket, e);
    json_decref(bucket);
    return ok;
}

static bool show_it(struct bucket *b, json_t *bucket, struct err *e)
{
    return show(b, bucket, e);
}

static bool run_verb(struct bucket *b, const char *verb, struct err *e)
{
    if (strcmp(verb, "create") == 0)
        return create(b, e);
    return with_bucket(b, strcmp(verb, "show") == 0 ? show_it : fix, e);
}

static bool is_verb(const char *text)
{
    return strcmp(text, "create") == 0 || strcmp(text, "show") == 0 || strcmp(text, "fix") == 0;
}

static bool run_bucket(const struct command *c, char **args, int count, struct err *e)
{
    struct bucket b = {.settings = {.expire_days = BUCKET_UNSAID}};
    struct operands o;

    if (!options_read(c, args, count, &b.settings, &o, e))
        return false;
    if (o.help) {
        help_command(stdout, c);
        return true;
    }
    if (o.count < 2 || !is_verb(o.items[0]))
        return err_set(e, ERR_USAGE, "what with which bucket? usage: ferry bucket %s", c->synopsis);
    b.arena = arena_new(ARENA_BYTES);
    if (!b.arena)
        return err_set(e, ERR_MEMORY, "no memory");
    bool ok = read_wish(&b, o.items[1], e) && (b.stores = stores_new(0, e)) && run_verb(&b, o.items[0], e);
    stores_free(b.stores);
    arena_free(b.arena);
    return ok;
}

static const struct option_group bucket_group = {"Options", bucket_options,
                                                 sizeof bucket_options / sizeof *bucket_options};
static const struct option_group *const bucket_groups[] = {&bucket_group, NULL};

static const char *const bucket_examples[] = {
    "ferry bucket create my-models --region asia-northeast1 --soft-delete off",
    "beside a service in Tokyo; what is deleted costs nothing more",
    "ferry bucket show my-models",
    "how it is set up, and what is not as it should be",
    "ferry bucket fix my-models --expire-days 30",
    "shows the difference and asks",
    NULL,
};

const struct command command_bucket = {
    .name = "bucket",
    .synopsis = "create|show|fix NAME [--region REGION] [options]",
    .summary = "create, show or set right a bucket for models",
    .about =
        "A bucket for models lies in one region (the service's own, where reading costs nothing), is of "
        "class "
        "Standard, has uniform access and lets nothing become public; unfinished uploads are removed after 7 "
        "days. create makes one and is content when it is there already; an empty bucket costs nothing. show "
        "prints how one is set up. fix shows what differs, asks, and changes only that.",
    .examples = bucket_examples,
    .groups = bucket_groups,
    .max_operands = 2,
    .run = run_bucket,
};
