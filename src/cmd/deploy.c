/* deploy.c: `ferry deploy`: a model as a service that costs nothing while nobody asks. */
#include "base/file.h"
#include "cmd/byte_size.h"
#include "cmd/commands.h"
#include "cmd/deploy_cloud.h"
#include "cmd/instance_options.h"
#include "cmd/interrupt.h"
#include "cmd/service_name.h"
#include "cmd/service_report.h"
#include "store/uri.h"
#include "target/knative.h"
#include "target/local.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ARENA_BYTES = 16 << 20 };

struct deploy_settings {
    struct instance_settings instance; /* first: offsets of the groups it is for count from here */
    struct google_settings google;
    struct deploy_cloud_settings cloud;
    const char *target, *memory;
    bool json;
    const char *host;
    int port;
    double idle_minutes;
    bool wait, foreground;
};
_Static_assert(offsetof(struct deploy_settings, instance) == 0, "instance_group");

static const struct option deploy_options[] = {
    {.name = "target",
     .type = OPTION_TEXT,
     .argument = "TARGET",
     .offset = offsetof(struct deploy_settings, target),
     .help = "where it runs: local, this machine; cloud-run, Google's; knative prints the manifest for a "
             "cluster; "
             "unless told local for a folder, cloud-run for gs://"},
    {.name = "memory",
     .type = OPTION_TEXT,
     .argument = "AMOUNT",
     .offset = offsetof(struct deploy_settings, memory),
     .help =
         "memory of an instance, such as 32Gi; unless told what `ferry plan` says of the model, and on this "
         "machine as much as there is"},
    {.name = "json",
     .type = OPTION_FLAG,
     .offset = offsetof(struct deploy_settings, json),
     .help = "print the service, or the manifest, as one JSON object"},
};

#define CLOUD(field) offsetof(struct deploy_settings, cloud) + offsetof(struct deploy_cloud_settings, field)
static const struct option cloud_rows[] = {
    {.name = "project",
     .type = OPTION_TEXT,
     .argument = "PROJECT",
     .offset = offsetof(struct deploy_settings, google) + offsetof(struct google_settings, project),
     .help = "Google's project; gcloud's unless told (GOOGLE_CLOUD_PROJECT, or its configuration)"},
    {.name = "region",
     .type = OPTION_TEXT,
     .argument = "REGION",
     .offset = offsetof(struct deploy_settings, google) + offsetof(struct google_settings, region),
     .help = "such as asia-northeast1, where the bucket should lie, too; gcloud's run/region unless told"},
    {.name = "public",
     .type = OPTION_FLAG,
     .offset = CLOUD(is_public),
     .help = "anyone who has the API key may call it, which is made and shown once; else who has run.invoker "
             "on it"},
    {.name = "no-key",
     .type = OPTION_FLAG,
     .offset = CLOUD(no_key),
     .help = "with --public: without a key, so that anyone may call it, at your expense"},
    {.name = "gpu",
     .type = OPTION_TEXT,
     .argument = "TYPE",
     .offset = CLOUD(gpu),
     .help =
         "nvidia-l4 or nvidia-rtx-pro-6000: refused, since Ferry's engine computes on CPUs, with where there "
         "is one, what it costs and what would use it"},
    {.name = "no-traffic",
     .type = OPTION_FLAG,
     .offset = CLOUD(no_traffic),
     .help = "requests stay with the old revision; a deploy without it moves them"},
    {.name = "rollback",
     .type = OPTION_FLAG,
     .offset = CLOUD(rollback),
     .help = "instead of deploying: requests go back to the good revision before the one that has them"},
    {.name = "dry-run",
     .type = OPTION_FLAG,
     .offset = CLOUD(dry_run),
     .help = "print the requests that would change something, and send none of them"},
    {.name = "yes",
     .letter = 'y',
     .type = OPTION_FLAG,
     .offset = CLOUD(yes),
     .help = "do not ask whether it may cost that"},
};
#undef CLOUD

static const struct option local_rows[] = {
    {.name = "port",
     .letter = 'p',
     .type = OPTION_INT,
     .argument = "PORT",
     .max = 65535,
     .offset = offsetof(struct deploy_settings, port),
     .help =
         "where to listen; the one it had, else 8080, or a free one when that is taken; 0 takes a free one"},
    {.name = "host",
     .type = OPTION_TEXT,
     .argument = "ADDRESS",
     .preset = "127.0.0.1",
     .offset = offsetof(struct deploy_settings, host),
     .help = "address to listen on; 0.0.0.0 is for the network, which better needs a key"},
    {.name = "idle",
     .type = OPTION_REAL,
     .argument = "MINUTES",
     .preset = "15",
     .min = 0.001,
     .max = 1e6,
     .offset = offsetof(struct deploy_settings, idle_minutes),
     .help = "without a request for so long, the server is stopped until the next one"},
    {.name = "wait",
     .letter = 'w',
     .type = OPTION_FLAG,
     .offset = offsetof(struct deploy_settings, wait),
     .help = "start the server now; when it does not load, say why and change nothing"},
    {.name = "foreground",
     .type = OPTION_FLAG,
     .offset = offsetof(struct deploy_settings, foreground),
     .help = "do not go to the background; Ctrl-C ends the service"},
};

/* One run of the command. */
struct deploy {
    struct deploy_settings settings;
    const struct target *target;
    struct arena *arena;
    uint64_t memory_bytes; /* 0: not said */
    struct local_options local;
    struct knative_options knative;
    struct target_spec spec;
};

static void say(void *arg, const char *line)
{
    (void)arg;
    fprintf(stderr, "%s\n", line);
}

static const char *keep(struct arena *a, const char *text, struct err *e)
{
    const char *copy = text ? arena_strndup(a, text, strlen(text)) : NULL;
    if (!copy)
        err_set(e, ERR_MEMORY, "no memory");
    return copy;
}

/* --- what is to run --- */

/* A path that means the same from anywhere, of a file that need not be there yet. */
static const char *absolute(struct arena *a, const char *path, struct err *e)
{
    char folder[PATH_MAX];
    if (*path == '/')
        return keep(a, path, e);
    if (!getcwd(folder, sizeof folder)) {
        err_errno(e, "cannot tell the current folder");
        return NULL;
    }
    return keep(a, arena_printf(a, "%s/%s", folder, path), e);
}

static const char *model_folder(struct arena *a, const char *path, struct err *e)
{
    char real[PATH_MAX], config[PATH_MAX + 16];
    if (!realpath(path, real)) {
        err_errno(e, "%s: expected a model folder, gs://BUCKET/PREFIX or hf://OWNER/NAME", path);
        return NULL;
    }
    snprintf(config, sizeof config, "%s/config.json", real);
    if (file_exists(config))
        return keep(a, real, e);
    err_set(e, ERR_NOT_FOUND, "%s: there is no config.json in it; expected a model folder", path);
    return NULL;
}

static const char *model_uri(struct arena *a, const char *text, struct err *e)
{
    struct uri u;
    if (!uri_parse(&u, text, a, e))
        return NULL;
    if (u.scheme == URI_LOCAL)
        return model_folder(a, u.path, e);
    if (u.scheme == URI_HF && !strstr(text, "://"))
        return keep(a, arena_printf(a, "hf://%s", text), e);
    if (u.scheme != URI_STDIO)
        return keep(a, text, e);
    err_set(e, ERR_USAGE, "expected a model folder, gs://BUCKET/PREFIX or hf://OWNER/NAME");
    return NULL;
}

/* The server runs elsewhere than this command. */
static bool settle_paths(struct deploy *d, struct err *e)
{
    struct service_settings *s = &d->settings.instance.service;
    if (s->api_key_file && !(s->api_key_file = absolute(d->arena, s->api_key_file, e)))
        return false;
    if (s->api_key_file && access(s->api_key_file, R_OK) != 0)
        return err_errno(e, "API key file: %s", s->api_key_file);
    return !s->config || strstr(s->config, "://") || (s->config = absolute(d->arena, s->config, e));
}

static bool read_local(struct deploy *d, struct err *e)
{
    const struct deploy_settings *s = &d->settings;
    d->local = (struct local_options){.host = s->host,
                                      .port = s->port,
                                      .idle_seconds = s->idle_minutes * 60,
                                      .wait = s->wait,
                                      .foreground = s->foreground};
    d->spec.local = &d->local;
    if (s->wait && s->foreground)
        return err_set(e, ERR_USAGE, "--wait goes with the background, not with --foreground");
    if (s->json && s->foreground)
        return err_set(e, ERR_USAGE, "--json goes with the background, not with --foreground");
    d->local.memory_bytes = d->memory_bytes;
    return settle_paths(d, e);
}

/* What a cluster cannot reach or should not be told. */
static bool check_cluster(const struct deploy *d, struct err *e)
{
    const struct service_settings *s = &d->settings.instance.service;
    if (!d->settings.instance.image)
        return err_set(e, ERR_USAGE,
                       "which image? `ferry image push REGISTRY/REPOSITORY` makes one for --image");
    if (!strstr(d->spec.model, "://"))
        return err_set(e, ERR_USAGE,
                       "%s: a folder of this machine; `ferry stage` copies it to where a cluster can read it",
                       d->spec.model);
    if (s->config && strncmp(s->config, "gs://", 5) != 0)
        return err_set(e, ERR_USAGE, "--config %s: a cluster cannot read it, expected gs://BUCKET/NAME",
                       s->config);
    if (s->api_key || s->api_key_file)
        return err_set(
            e, ERR_USAGE,
            "a manifest carries no keys, and no files of this machine; --key-secret names a secret "
            "that is there");
    return knative_check_image(d->settings.instance.image, d->arena, e);
}

/* "NAME:KEY"; the key's name when none is given is one that Secret Manager has, too. */
static bool read_secret(struct deploy *d, struct err *e)
{
    const char *text = d->settings.instance.key_secret, *colon = text ? strchr(text, ':') : NULL;
    if (!text)
        return true;
    if (!*text || colon == text || (colon && !colon[1]))
        return err_set(e, ERR_USAGE, "--key-secret \"%s\": expected NAME or NAME:KEY", text);
    d->knative.secret = colon ? arena_strndup(d->arena, text, (size_t)(colon - text)) : text;
    d->knative.secret_key = colon ? colon + 1 : "latest";
    return d->knative.secret || err_set(e, ERR_MEMORY, "no memory");
}

static bool read_knative(struct deploy *d, struct err *e)
{
    struct instance_settings *s = &d->settings.instance;
    struct run_service needs;
    if (!check_cluster(d, e) || !instance_plan(&needs, s, d->spec.model, d->memory_bytes, d->arena, e))
        return false;
    s->service.start = needs.start == RUN_GATE ? START_GATE : START_STREAM;
    d->spec.knative = &d->knative;
    d->knative = (struct knative_options){
        .image = s->image,
        .service_account = s->service_account,
        .vcpu = needs.shape.vcpu,
        .memory_bytes = d->memory_bytes ? d->memory_bytes : (uint64_t)needs.shape.gib << 30,
        .concurrency = needs.concurrency,
        .timeout_seconds = needs.timeout_s,
        .min_instances = s->min_instances,
        .max_instances = s->max_instances,
        .cpu_idle = needs.cpu_idle,
        .gate = needs.start == RUN_GATE,
        .probe = {needs.probe.initial_delay_s, needs.probe.period_s, needs.probe.timeout_s,
                  needs.probe.failure_threshold},
    };
    if (!needs.probe.enough)
        say(NULL,
            "its startup probe waits as long as Cloud Run documents, which loading may take longer than");
    return read_secret(d, e);
}

static bool read_spec(struct deploy *d, const struct operands *o, struct err *e)
{
    const struct deploy_settings *s = &d->settings;
    d->spec.name = o->items[0];
    return target_check_name(d->spec.name, e) && service_check_key(&s->instance.service, e) &&
           (!s->memory || byte_size_parse(s->memory, "--memory", &d->memory_bytes, e)) &&
           (d->spec.model = model_uri(d->arena, o->items[1], e)) &&
           (d->target == &target_knative ? read_knative(d, e) : read_local(d, e)) &&
           ((d->spec.environment = service_environment(&s->instance.service, d->arena)) ||
            err_set(e, ERR_MEMORY, "no memory"));
}

/* --- what runs --- */

static bool print_service(const struct deploy *d, const struct target_service *s, struct err *e)
{
    char state[SERVICE_STATE];
    if (d->settings.json)
        return service_print_json(service_json(s), e);
    bool asleep = s->state && strcmp(s->state, "asleep") == 0;
    printf("%s: %s, %s\n", s->name, s->url,
           asleep ? "asleep until the first request" : service_state(s, (int64_t)time(NULL), state));
    if (s->memory_note)
        fprintf(stderr, "%s\n", s->memory_note);
    return true;
}

static bool print_manifest(struct deploy *d, struct target_run *r, struct err *e)
{
    const char *text = d->target->manifest(r, &d->spec, d->settings.json ? TARGET_JSON : TARGET_YAML, e);
    if (text)
        fputs(text, stdout);
    return text != NULL;
}

static bool deploy_google(struct deploy *d, const struct operands *o, struct err *e)
{
    const struct deploy_settings *s = &d->settings;
    struct target_run r = {.arena = d->arena, .say = say, .stop = interrupt_watch()};
    struct target_service service = {0};
    struct deploy_cloud cloud = {.run = &r,
                                 .google = &s->google,
                                 .settings = &s->cloud,
                                 .instance = &d->settings.instance,

                                 .spec = {.name = o->items[0], .model = o->count > 1 ? o->items[1] : ""},
                                 .quiet = s->json};
    return target_check_name(o->items[0], e) &&
           (!s->memory || byte_size_parse(s->memory, "--memory", &cloud.memory_bytes, e)) &&
           deploy_cloud(&cloud, &service, e) && (!service.name || print_service(d, &service, e));
}

static bool deploy(struct deploy *d, const struct operands *o, struct err *e)
{
    struct target_run r = {.arena = d->arena, .say = say};
    struct target_service s = {0};
    if (d->target == &target_cloud_run)
        return deploy_google(d, o, e);
    if (!read_spec(d, o, e))
        return false;
    if (d->target->manifest)
        return print_manifest(d, &r, e);
    if (!d->settings.foreground) /* there, signals are the activator's */
        r.stop = interrupt_watch();
    return d->target->apply(&r, &d->spec, &s, e) && (d->settings.foreground || print_service(d, &s, e));
}

static const struct option_group local_group = {"Local", local_rows, sizeof local_rows / sizeof *local_rows};

static const struct option_group cloud_group = {"Cloud Run", cloud_rows,
                                                sizeof cloud_rows / sizeof *cloud_rows};

/* The first option given of each group that only some targets have; NULL: none. */
struct given {
    const struct option *local, *cloud, *instance;
};

/* An option that says nothing to the target it is given with is a mistake. */
static bool check_options(const struct deploy *d, const struct given *g, struct err *e)
{
    bool here = d->target == &target_local, google = d->target == &target_cloud_run;
    const struct option *wrong = !here && g->local ? g->local : !google && g->cloud ? g->cloud : NULL;
    if (here && g->instance)
        wrong = g->instance;
    return !wrong || err_set(e, ERR_USAGE, "--%s does not go with --target %s", wrong->name, d->target->name);
}

/* What costs money is at Google only where its bucket is. */
static const char *target_name(const struct deploy_settings *s, const struct operands *o)
{
    bool google = s->cloud.rollback || strncmp(o->items[o->count - 1], "gs://", 5) == 0;
    return s->target ? s->target : google ? "cloud-run" : "local";
}

static bool run_deploy(const struct command *c, char **args, int count, struct err *e)
{
    struct deploy d = {.settings = {.instance.service = SERVICE_SETTINGS_UNSET, .port = LOCAL_PORT_CHOOSE}};
    struct operands o;
    struct given given = {option_given(c, args, count, &local_group),
                          option_given(c, args, count, &cloud_group),
                          option_given(c, args, count, &instance_group)};

    if (!options_read(c, args, count, &d.settings, &o, e))
        return false;
    if (o.help) {
        help_command(stdout, c);
        return true;
    }
    if (o.count < (d.settings.cloud.rollback ? 1 : 2))
        return err_set(e, ERR_USAGE, "what under which name? usage: ferry deploy %s", c->synopsis);
    if (!(d.target = service_target_named(target_name(&d.settings, &o), e)) || !check_options(&d, &given, e))
        return false;
    d.arena = arena_new(ARENA_BYTES);
    bool ok = d.arena ? deploy(&d, &o, e) : err_set(e, ERR_MEMORY, "no memory");
    arena_free(d.arena);
    return ok;
}

static const struct option_group deploy_group = {"Options", deploy_options,
                                                 sizeof deploy_options / sizeof *deploy_options};
static const struct option_group *const deploy_groups[] = {
    &deploy_group, &cloud_group, &local_group, &instance_group, &service_group, &engine_group, NULL};

static const char *const deploy_examples[] = {
    "ferry deploy qwen gs://my-models/qwen2-audio --region asia-northeast1",
    "on Cloud Run in Tokyo; what it costs is said and asked about first",
    "ferry deploy qwen gs://my-models/qwen2-audio --region asia-northeast1 --dry-run",
    "the requests that this would send",
    "ferry deploy demo models/demo --target local",
    "on port 8080 of this machine; the server starts with the first request",
    "ferry deploy audio ~/models/Qwen2-Audio-7B-Instruct --target local --idle 5 --memory 32Gi --wait",
    "as on an instance of 32 GiB, stopped after five minutes without a request; first see that it loads",
    "ferry deploy audio gs://my-models/qwen2-audio --target knative --image REGISTRY/ferry | kubectl apply "
    "-f -",
    "on a cluster with Knative Serving; on Cloud Run: > audio.yaml, then gcloud run services replace "
    "audio.yaml",
    "ferry ask audio --audio call.wav \"What does the caller want?\"",
    "by its name",
    NULL,
};

const struct command command_deploy = {
    .name = "deploy",
    .synopsis = "NAME FOLDER|URI [--target TARGET] [options]",
    .summary = "run a model as a service that sleeps while nobody asks",
    .about =
        "On Cloud Run, for a model in a bucket: enables the APIs that are needed, makes a service account "
        "that may "
        "read that bucket and nothing else, and a repository with an image of this ferry, then a service, or "
        "a new "
        "revision of it with what has changed; a revision that does not start leaves requests with the old "
        "one, and "
        "its own log lines are shown. Each step looks what is there, so the same command goes on where one "
        "was "
        "interrupted. Callers need run.invoker on it; `ferry ask NAME` shows who you are. With --public they "
        "need "
        "an API key in place of that: it is made, kept in Secret Manager (ferry-NAME-key) and shown once; "
        "`ferry "
        "ask NAME` fetches it where you may read it. --key-secret names a secret of yours, --service-account "
        "an "
        "account of yours, whose rights are not changed. --rollback and --no-traffic are for its revisions.\n"
        "\n"
        "At the target local, a small process in the background holds the port. It starts `ferry serve` with "
        "the first request, which waits for it, and stops it after --idle minutes without one: what a "
        "service on Cloud Run does, with the same variables, tried for nothing. Probes (HEAD, GET /healthz, "
        "/readyz, /metrics) do not wake it and do not keep it awake. A server that crashes is started again; "
        "one that does not load is told of to whoever asks (503), by `ferry status` and by `ferry logs`.\n"
        "\n"
        "Deploying a name again updates it: a server that is awake answers until the new one has loaded, "
        "and no request fails. When the new one does not load, nothing changes. What is not said again goes "
        "back to its default, but for the port. What is known of the service lies in "
        "$XDG_STATE_HOME/ferry/local/NAME; the variables of this command's environment go to its server, "
        "and are not kept: after a restart of the machine deploy it again.\n"
        "\n"
        "At the target knative nothing is created: the manifest of the service is printed, with the "
        "processors and "
        "memory that the headers of its model's files ask for. No key is in it; --key-secret names the "
        "secret that "
        "holds one.",
    .examples = deploy_examples,
    .groups = deploy_groups,
    .max_operands = 2,
    .run = run_deploy,
};
