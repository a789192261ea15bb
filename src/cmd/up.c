/* up.c: `ferry up`: from a model on the hub to a service on Cloud Run: what `bucket create`, `stage` and
 * `deploy` do, asked about once. */
#include "cmd/again.h"
#include "cmd/bucket.h"
#include "cmd/byte_size.h"
#include "cmd/commands.h"
#include "cmd/confirm.h"
#include "cmd/deploy_cloud.h"
#include "cmd/deploy_question.h"
#include "cmd/human.h"
#include "cmd/interrupt.h"
#include "cmd/service_report.h"
#include "cmd/stage_via.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ARENA_BYTES = INT32_MAX };

struct up_settings {
    struct instance_settings instance; /* first: offsets of the groups it is for count from here */
    struct google_settings google;
    struct deploy_cloud_settings cloud;
    const char *name, *bucket, *memory;
    const char *token_secret;
    int encode, via, workers;
    bool json;
};
_Static_assert(offsetof(struct up_settings, instance) == 0, "instance_group");

#define GOOGLE(field) offsetof(struct up_settings, google) + offsetof(struct google_settings, field)
#define CLOUD(field) offsetof(struct up_settings, cloud) + offsetof(struct deploy_cloud_settings, field)
static const struct option up_options[] = {
    {.name = "region",
     .letter = 'r',
     .type = OPTION_TEXT,
     .argument = "REGION",
     .offset = GOOGLE(region),
     .help = "of bucket and service, such as asia-northeast1; gcloud's run/region unless told"},
    {.name = "project",
     .type = OPTION_TEXT,
     .argument = "PROJECT",
     .offset = GOOGLE(project),
     .help = "Google's project; gcloud's unless told (GOOGLE_CLOUD_PROJECT, or its configuration)"},
    {.name = "name",
     .letter = 'n',
     .type = OPTION_TEXT,
     .argument = "NAME",
     .offset = offsetof(struct up_settings, name),
     .help = "what the service is called; the model's name in lower case unless told"},
    {.name = "bucket",
     .letter = 'b',
     .type = OPTION_TEXT,
     .argument = "BUCKET",
     .offset = offsetof(struct up_settings, bucket),
     .help = "where the model is staged, in a folder of its own name; PROJECT-models unless told"},
    {.name = "encode",
     .letter = 'e',
     .type = OPTION_CHOICE,
     .argument = "ENCODING",
     .preset = "none",
     .choices = "none|bf16|q8_0|q4_0",
     .offset = offsetof(struct up_settings, encode),
     .help = "encode the weights on the way, as `ferry stage` does"},
    {.name = "via",
     .type = OPTION_CHOICE,
     .argument = "WAY",
     .preset = "auto",
     .choices = "here|job|auto",
     .offset = offsetof(struct up_settings, via),
     .help = "who copies: this machine; tasks of Cloud Run beside the bucket, with the image of the service; "
             "or of both who is expected to be done first"},
    {.name = "token-secret",
     .type = OPTION_TEXT,
     .argument = "NAME",
     .offset = offsetof(struct up_settings, token_secret),
     .help = "with --via job: secret of Secret Manager that holds the HF_TOKEN for gated and private models"},
    {.name = "workers",
     .letter = 'w',
     .type = OPTION_INT,
     .argument = "N",
     .env = "FERRY_WORKERS",
     .preset = "8",
     .min = 1,
     .max = 64,
     .offset = offsetof(struct up_settings, workers),
     .help = "parts of large files moved at a time, 8 MiB of memory each"},
    {.name = "memory",
     .type = OPTION_TEXT,
     .argument = "AMOUNT",
     .offset = offsetof(struct up_settings, memory),
     .help = "memory of an instance, such as 32Gi; what `ferry plan` says of the model unless told"},
    {.name = "public",
     .type = OPTION_FLAG,
     .offset = CLOUD(is_public),
     .help = "anyone who has the API key may call it, which is made and shown once; else who has run.invoker "
             "on it"},
    {.name = "no-key",
     .type = OPTION_FLAG,
     .offset = CLOUD(no_key),
     .help = "with --public: without a key, so that anyone may call it, at your expense"},
    {.name = "dry-run",
     .type = OPTION_FLAG,
     .offset = CLOUD(dry_run),
     .help = "say what would be made and what it costs, and send nothing that changes anything"},
    {.name = "no-question",
     .type = OPTION_FLAG,
     .offset = CLOUD(no_question),
     .help = "do not ask it a first question, which shows that it answers and how far the plan was off"},
    {.name = "json",
     .type = OPTION_FLAG,
     .offset = offsetof(struct up_settings, json),
     .help = "print one JSON object at the end; what is said on the way goes to stderr"},
    {.name = "yes",
     .letter = 'y',
     .type = OPTION_FLAG,
     .offset = CLOUD(yes),
     .help = "do not ask whether it may cost that"},
};
#undef CLOUD
#undef GOOGLE

/* One run of the command. */
struct up {
    struct up_settings settings;
    struct arena *arena;
    struct target_run run;
    struct deploy_cloud deploy;
    struct stage stage;
    const char *bucket;
    bool bucket_there, staged;
    uint64_t bytes_to_copy;
    char way[STAGE_HINT]; /* in which they are copied, and how long that takes */
    int stdout_copy;      /* of --json, while words go to stderr; 0: they do not */
};

static void say(void *arg, const char *line)
{
    (void)arg;
    fprintf(stderr, "%s\n", line);
}

/* --- names --- */

/* "Qwen/Qwen2-Audio-7B" as a part of other names: "qwen2-audio-7b". NULL: no memory. */
static const char *short_name(const char *model, struct arena *a)
{
    const char *last = strrchr(model, '/') + 1;
    char out[TARGET_NAME_MAX];
    size_t n = 0;
    for (; *last && n < sizeof out; last++) {
        int c = tolower((unsigned char)*last);
        if (isdigit(c) || (c >= 'a' && c <= 'z'))
            out[n++] = (char)c;
        else if (n && out[n - 1] != '-')
            out[n++] = '-';
    }
    while (n && out[n - 1] == '-')
        n--;
    return arena_strndup(a, out, n);
}

static const char *bucket_name(const struct up *u)
{
    const char *text = u->settings.bucket;
    if (text)
        return strncmp(text, "gs://", 5) == 0 ? text + 5 : text;
    return arena_printf(u->arena, "%s-models", u->run.project);
}

/* Each encoding has a folder of its own, so that one does not replace another that a service reads. */
static const char *folder_of(const struct up *u)
{
    const char *model = short_name(u->stage.model.uri.place, u->arena);
    const char *encoding = u->settings.encode ? pack_encoding_names[u->settings.encode - 1] : "";
    return model ? arena_printf(u->arena, "gs://%s/%s%s%s", u->bucket, model, *encoding ? "-" : "", encoding)
                 : NULL;
}

static bool choose_name(struct up *u, struct err *e)
{
    const char *given = u->settings.name;
    const char *name = given ? given : short_name(u->stage.model.uri.place, u->arena);
    u->deploy.spec.name = name;
    if (!name)
        return err_set(e, ERR_MEMORY, "no memory for a name");
    return target_check_name(name, e) ||
           (given ? false : err_wrap(e, "a name from the model's will not do, --name gives another"));
}

static bool read_names(struct up *u, const char *model, struct err *e)
{
    if (!stage_name_model(&u->stage, model, e) || !choose_name(u, e))
        return false;
    if (u->settings.bucket && (!*bucket_name(u) || strchr(bucket_name(u), '/')))
        return err_set(e, ERR_USAGE, "--bucket \"%.80s\": expected the name of a bucket alone",
                       u->settings.bucket);
    return !u->settings.memory || byte_size_parse(u->settings.memory, "--memory", &u->deploy.memory_bytes, e);
}

/* --- what is there --- */

static bool look_at_model(struct up *u, struct err *e)
{
    struct stage *s = &u->stage;
    if (!(s->stores = stores_new(0, e)) || !stage_pin(s, e))
        return false;
    u->deploy.source = arena_printf(u->arena, "%s@%s", s->source, s->commit);
    return u->deploy.source || err_set(e, ERR_MEMORY, "no memory");
}

static bool look_at_bucket(struct up *u, struct err *e)
{
    struct stage *s = &u->stage;
    if (!(u->bucket = bucket_name(u)) || !(u->deploy.spec.model = folder_of(u)))
        return err_set(e, ERR_MEMORY, "no memory for a name");
    if (!stage_open_target(s, u->deploy.spec.model, e) ||
        !bucket_look(s->stores, u->bucket, u->run.region, &u->bucket_there, e))
        return false;
    s->no_bucket = !u->bucket_there;
    return stage_look(s, &u->staged, e);
}

/* --- telling --- */

/* Bucket, stage and deploy all say something; with --json their words and the result part here. */
static bool divert_words(struct up *u, struct err *e)
{
    if (!u->settings.json)
        return true;
    u->stdout_copy = dup(STDOUT_FILENO);
    return (u->stdout_copy > 0 && dup2(STDERR_FILENO, STDOUT_FILENO) >= 0) ||
           err_errno(e, "cannot keep stdout for the result");
}

static void restore_stdout(struct up *u)
{
    if (u->stdout_copy <= 0)
        return;
    fflush(stdout);
    dup2(u->stdout_copy, STDOUT_FILENO);
    close(u->stdout_copy);
    u->stdout_copy = 0;
}

/* service NULL: of a dry run. question: its reference is taken; NULL: it was not asked, or did not answer. */
static bool print_result(struct up *u, const struct target_service *service, json_t *question, struct err *e)
{
    const struct stage *s = &u->stage;
    restore_stdout(u);
    return service_print_json(
        json_pack("{s:s, s:s, s:b, s:s, s:s, s:s?, s:b, s:I, s:o, s:o}", "name", u->deploy.spec.name,
                  "bucket", u->bucket, "bucket_was_there", u->bucket_there, "source", s->source, "commit",
                  s->commit, "encoding", s->encoding, "was_staged", u->staged, "bytes_to_copy",
                  (json_int_t)u->bytes_to_copy, "service", service ? service_json(service) : json_null(),
                  "question", question ? question : json_null()),
        e);
}

static void print_parts(const struct up *u)
{
    const struct stage *s = &u->stage;
    char size[HUMAN_TEXT];
    printf("  bucket  gs://%s, %s\n", u->bucket,
           u->bucket_there ? "which is there" : "to be made: private, without soft delete");
    printf("  model  %s at %.12s%s%s, ", s->source, s->commit, s->encoding ? " in " : "",
           s->encoding ? s->encoding : "");
    if (u->staged)
        puts("staged completely");
    else
        printf("%s to read from the hub\n  copied  %s\n", human_bytes(u->bytes_to_copy, size), u->way);
    if (s->has_manifest && !stage_same_model(s))
        printf("  replaces  %s%s%.12s in its folder\n", s->manifest.source, s->manifest.commit ? " at " : "",
               s->manifest.commit ? s->manifest.commit : "");
}

static bool print_service(const struct target_service *s)
{
    char state[SERVICE_STATE];
    printf("%s: %s, %s\n", s->name, s->url, service_state(s, (int64_t)time(NULL), state));
    printf("`ferry ask %s \"Who are you?\"` asks it, `ferry proxy %s` gives OpenAI clients a port; "
           "`ferry down %s` takes it away, with --bucket the model, too\n",
           s->name, s->name, s->name);
    return true;
}

/* --- doing --- */

static bool ask_and_print(struct up *u, const struct target_service *service, struct err *e)
{
    json_t *question = NULL;
    bool asks = !u->settings.cloud.no_question && service->url;
    if (!u->settings.json)
        return print_service(service) && (!asks || deploy_question(&u->deploy, service, &question, e));
    bool ok = !asks || deploy_question(&u->deploy, service, &question, e);
    return print_result(u, service, question, e) && ok;
}

/* The tasks run the service's image as the service's account, which may write meanwhile, and no longer:
 * whatever comes of it, and also when the run that let it was killed. */
static bool copy(struct up *u, struct deploy_work *w, struct err *e)
{
    struct stage *s = &u->stage;
    struct cloud_run_copier copier = {0};
    struct err later = {0};
    if (!u->staged && s->settings.via == VIA_JOB && !deploy_cloud_copier(w, &copier, e))
        return false;
    s->settings.image = copier.image;
    s->settings.service_account = copier.account;
    bool ok = stage_finish(s, u->staged, e);
    bool taken = deploy_cloud_copied(w, ok ? e : &later);
    if (!ok && !taken)
        fprintf(stderr, "whether its account may still write to gs://%s is not known: %s\n", u->bucket,
                later.text);
    return ok && taken;
}

static bool make(struct up *u, struct deploy_work *w, struct err *e)
{
    struct target_service service = {0};
    struct stage *s = &u->stage;
    s->settings.yes = true; /* replacing was asked about, too */
    return (u->bucket_there || bucket_make(s->stores, u->run.project, u->bucket, u->run.region, e)) &&
           copy(u, w, e) && deploy_cloud_apply(w, &service, e) && ask_and_print(u, &service, e);
}

static bool choose_way(struct up *u, struct err *e)
{
    struct stage *s = &u->stage;
    s->settings.via = (const int[]){VIA_HERE, VIA_JOB, VIA_AUTO}[u->settings.via];
    s->settings.project = u->run.project;
    s->settings.region = u->run.region;
    s->settings.token_secret = u->settings.token_secret;
    return u->staged || stage_settle_via(s, u->run.region, u->way, e);
}

static bool agree_and_make(struct up *u, struct deploy_work *w, struct err *e)
{
    char question[200];
    if (!look_at_model(u, e) || !look_at_bucket(u, e) || !deploy_cloud_plan(w, e))
        return false;
    u->bytes_to_copy = u->staged ? 0 : via_bytes(&u->stage);
    if (!choose_way(u, e))
        return false;
    print_parts(u);
    if (u->settings.cloud.dry_run) {
        puts("nothing was sent");
        return !u->settings.json || print_result(u, NULL, NULL, e);
    }
    snprintf(question, sizeof question, "make %s?", u->deploy.spec.name);
    return confirm(question, u->settings.cloud.yes, e) && make(u, w, e);
}

static bool up(struct up *u, const char *model, struct err *e)
{
    u->run = (struct target_run){.arena = u->arena, .say = say, .stop = interrupt_watch()};
    u->deploy = (struct deploy_cloud){.run = &u->run,
                                      .google = &u->settings.google,
                                      .settings = &u->settings.cloud,
                                      .instance = &u->settings.instance,
                                      .source = model,
                                      .encoding = (enum plan_encoding)u->settings.encode,
                                      .quiet = u->settings.json};
    u->stage.settings.encode = u->settings.encode;
    u->stage.settings.copy.workers = u->settings.workers;
    if (!read_names(u, model, e))
        return false;
    struct deploy_work *w = divert_words(u, e) ? deploy_cloud_open(&u->deploy, e) : NULL;
    bool ok = w && agree_and_make(u, w, e);
    deploy_cloud_close(w);
    restore_stdout(u);
    return ok;
}

static bool run_with(struct up *u, const struct command *c, char **args, int count, struct err *e)
{
    struct operands o;
    if (!(u->stage.again = command_again(u->arena, c->name, args, count)))
        return err_set(e, ERR_MEMORY, "no memory");
    if (!options_read(c, args, count, &u->settings, &o, e))
        return false;
    if (o.help) {
        help_command(stdout, c);
        return true;
    }
    if (o.count < 1)
        return err_set(e, ERR_USAGE, "which model? usage: ferry up %s", c->synopsis);
    return up(u, o.items[0], e);
}

static bool run_up(const struct command *c, char **args, int count, struct err *e)
{
    struct up u = {.settings = {.instance.service = SERVICE_SETTINGS_UNSET},
                   .arena = arena_new(ARENA_BYTES),
                   .stage = {.what = "staging"}};
    u.stage.arena = u.arena;
    bool ok = u.arena ? run_with(&u, c, args, count, e) : err_set(e, ERR_MEMORY, "no memory");
    stage_clear(&u.stage);
    stores_free(u.stage.stores);
    arena_free(u.arena);
    return ok;
}

static const struct option_group up_group = {"Options", up_options, sizeof up_options / sizeof *up_options};
static const struct option_group *const up_groups[] = {&up_group, &instance_group, &service_group,
                                                       &engine_group, NULL};

static const char *const up_examples[] = {
    "ferry up Qwen/Qwen2-Audio-7B-Instruct --region asia-northeast1 --encode q8_0 --dry-run",
    "what would be made in Tokyo, and what it would cost",
    "ferry up Qwen/Qwen2-Audio-7B-Instruct --region asia-northeast1 --encode q8_0 --name audio",
    "the same, asked about once and made; given again it goes on where it was",
    NULL,
};

const struct command command_up = {
    .name = "up",
    .synopsis = "MODEL --region REGION [options]",
    .summary = "from a model on Hugging Face to a service on Cloud Run",
    .about =
        "What `ferry bucket create`, `ferry stage` and `ferry deploy` do, in one step: says what will be "
        "made and what it costs, asks once, makes the bucket when there is none, copies the model into a "
        "folder of it that is named after model and encoding, deploys it, and asks it a first question as "
        "`ferry "
        "deploy` does. Each part looks what is there: "
        "after an interruption or a failure the same command goes on, and where all is there it changes "
        "nothing. A large model is copied by tasks of Cloud Run beside the bucket where that is expected to "
        "be "
        "done first (--via): they run the image of the service as its account, which may write into the "
        "bucket "
        "until they are done. When the model has a new commit, it replaces the old one. `ferry down NAME` "
        "takes the "
        "service away; bucket and model stay, and cost what they hold, unless it is told --bucket.",
    .examples = up_examples,
    .groups = up_groups,
    .max_operands = 1,
    .run = run_up,
};
