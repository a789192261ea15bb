/* serve.c: `ferry serve`. Binds the port first, then loads the model on a thread of its own while the main
 * thread waits for signals. Weights that arrive from a bucket are computed with as they come (--start stream)
 * or when all are there (gate). */
#include "base/clock.h"
#include "base/listen.h"
#include "base/log.h"
#include "cmd/api_key.h"
#include "cmd/commands.h"
#include "cmd/config_source.h"
#include "cmd/model_source.h"
#include "cmd/service_options.h"
#include "cmd/terminal.h"
#include "model/memory_room.h"
#include "serve/server.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

enum {
    DRAIN_SECONDS = 8, /* Cloud Run kills 10 s after SIGTERM */
    TELL_SECONDS = 1,  /* for who waits to hear that the load has failed */
    LOADER_SECONDS = 3 /* for a load to end when it is stopped */
};

_Static_assert(LOG_DEBUG == 0 && LOG_INFO == 1 && LOG_WARNING == 2 && LOG_ERROR == 3 && LOG_OFF == 4,
               "order of --log");

struct serve_settings {
    struct service_settings service; /* first: offsets of service_group and engine_group count from here */
    const char *host, *model;
    int port;
};
_Static_assert(offsetof(struct serve_settings, service) == 0, "service_group");

static const struct option serve_options[] = {
    {.name = "port",
     .letter = 'p',
     .type = OPTION_INT,
     .argument = "PORT",
     .env = "PORT",
     .preset = "8080",
     .max = 65535,
     .offset = offsetof(struct serve_settings, port),
     .help = "where to listen; 0 takes a free port, which the log names"},
    {.name = "host",
     .type = OPTION_TEXT,
     .argument = "ADDRESS",
     .offset = offsetof(struct serve_settings, host),
     .help = "address to listen on, such as 127.0.0.1; all of them unless told"},
    {.type = OPTION_TEXT,
     .env = "FERRY_MODEL",
     .offset = offsetof(struct serve_settings, model),
     .help = "the model, when the command line names none"},
};

enum load_news { LOAD_BEGUN, LOAD_OPENED, LOAD_ENDED };

/* One run of the command. */
struct service {
    const struct serve_settings *settings;
    struct config_place *config; /* NULL: none */
    struct arrival *arrival;
    struct model_source *source;
    struct server *server;
    struct loaded_model model;
    pthread_t loader;
    bool loading;                /* the loader has not been joined */
    bool given;                  /* the server has the model */
    _Atomic enum load_news news; /* how far the loader's thread is */
    int load_told;               /* eventfd: there is news */
    int signals;                 /* signalfd of SIGTERM and SIGINT */
    double start_ms;
    bool load_ok; /* the loader's result, read after it was joined */
    struct err load_err;
};

/* The key of the environment or the file, or "" for none. It lives in the arena. */
static const char *api_key(const struct service_settings *s, struct arena *a, struct err *e)
{
    if (!service_check_key(s, e))
        return NULL;
    if (s->api_key_file)
        return api_key_read(s->api_key_file, a, e);
    if (!s->api_key || !*s->api_key)
        return "";
    size_t size = strcspn(s->api_key, "\r\n"); /* a secret is often stored with the end of its line */
    if (size)
        return arena_strndup(a, s->api_key, size);
    err_set(e, ERR_USAGE, "FERRY_API_KEY: its first line is empty, expected the key");
    return NULL;
}

/* Tells people at a terminal; the log tells machines. */
static void announce_port(const struct service *v)
{
    int port = server_port(v->server);
    log_info("listening", LOG_INT("port", port), LOG_NUM("start_ms", clock_ms() - v->start_ms), LOG_END);
    if (terminal_is(STDOUT_FILENO)) {
        printf("Listening on http://localhost:%d, loading %s …\n", port, v->settings->model);
        fflush(stdout);
    }
}

/* The cache is taken page by page as answers grow: what is missing would show only under load. */
static void warn_of_memory(const struct engine_memory *m)
{
    uint64_t room = memory_room();
    if (m->kv_bytes + m->scratch_bytes > room)
        log_warning("memory may run out: lower --parallel or --context, or keep the cache in q8 (--kv q8)",
                    LOG_INT("kv_bytes", m->kv_bytes), LOG_INT("scratch_bytes", m->scratch_bytes),
                    LOG_INT("available_bytes", room), LOG_END);
}

/* The engine stands; its weights are still to come. */
static void announce_engine(const struct service *v)
{
    struct arrival_progress p;
    arrival_progress(v->arrival, &p);
    log_info("weights are arriving", LOG_STR("model", v->model.model.name), LOG_INT("bytes", p.total),
             LOG_NUM("opened_ms", clock_ms() - v->start_ms), LOG_END);
}

/* What the time went into: the phases add up to it. */
static void log_load(const struct service *v)
{
    struct arrival_progress p;
    arrival_progress(v->arrival, &p);
    double fetch_ms = p.elapsed_ms - p.phase_ms[PHASE_START] - p.phase_ms[PHASE_FILES];
    log_info("loaded", LOG_INT("bytes", p.bytes),
             LOG_NUM("bytes_per_second", fetch_ms > 0 ? (double)p.bytes / fetch_ms * 1e3 : 0),
             LOG_NUM("total_ms", p.elapsed_ms), LOG_NUM("start_ms", p.phase_ms[PHASE_START]),
             LOG_NUM("files_ms", p.phase_ms[PHASE_FILES]), LOG_NUM("headers_ms", p.phase_ms[PHASE_HEADERS]),
             LOG_NUM("fetch_ms", p.phase_ms[PHASE_FETCH]), LOG_NUM("wait_ms", p.phase_ms[PHASE_WAIT]),
             LOG_NUM("compute_ms", p.phase_ms[PHASE_COMPUTE]), LOG_END);
}

static void announce_model(const struct service *v)
{
    const struct engine *g = v->model.engine;
    struct engine_memory m = engine_memory(g);
    double ms = clock_ms() - v->start_ms;

    log_load(v);
    log_info("ready", LOG_STR("model", v->model.model.name), LOG_STR("cpu", engine_cpu(g)),
             LOG_STR("math", engine_math_name(&v->settings->service.engine)),
             LOG_INT("threads", pool_threads(v->model.pool)), LOG_INT("context", engine_context(g)),
             LOG_INT("parallel", engine_parallel(g)), LOG_INT("weight_bytes", m.weight_bytes),
             LOG_INT("kv_bytes", m.kv_bytes), LOG_INT("scratch_bytes", m.scratch_bytes),
             LOG_NUM("ready_ms", ms), LOG_END);
    warn_of_memory(&m);
    if (terminal_is(STDOUT_FILENO)) {
        printf("Ready after %.0f ms. In another terminal: ferry ask http://localhost:%d \"Hello!\"\n", ms,
               server_port(v->server));
        fflush(stdout);
    }
}

static void tell(struct service *v, enum load_news news)
{
    atomic_store(&v->news, news);
    eventfd_write(v->load_told, 1);
}

static void *load(void *arg)
{
    struct service *v = arg;
    const struct serve_settings *s = v->settings;
    v->load_ok =
        model_source_open(v->source, &v->model, &s->service.engine, s->service.parallel, &v->load_err);
    if (v->load_ok) {
        tell(v, LOAD_OPENED);
        v->load_ok = model_source_bring(v->source, &v->load_err);
    }
    tell(v, LOAD_ENDED);
    return NULL;
}

/* From now on SIGTERM and SIGINT are read from a descriptor; threads made later inherit the mask. */
static bool take_signals(struct service *v, sigset_t *set, struct err *e)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    signal(SIGPIPE, SIG_IGN);
    pthread_sigmask(SIG_BLOCK, set, NULL);
    v->signals = signalfd(-1, set, SFD_CLOEXEC);
    v->load_told = eventfd(0, EFD_CLOEXEC);
    return (v->signals >= 0 && v->load_told >= 0) || err_errno(e, "signalfd");
}

static bool give_model(struct service *v, struct err *e)
{
    v->given = v->given || server_set_model(v->server, &v->model, e);
    return v->given;
}

static bool finish_load(struct service *v, struct err *e)
{
    pthread_join(v->loader, NULL);
    v->loading = false;
    if (!v->load_ok) {
        *e = v->load_err;
        server_stop(v->server, TELL_SECONDS);
        return false;
    }
    if (!give_model(v, e))
        return false;
    announce_model(v);
    return true;
}

/* The loader's thread has told something. */
static bool take_news(struct service *v, struct err *e)
{
    eventfd_t count;
    if (eventfd_read(v->load_told, &count) != 0)
        return err_errno(e, "eventfd");
    enum load_news news = atomic_load(&v->news);
    if (news == LOAD_ENDED)
        return finish_load(v, e);
    if (!model_source_arrives(v->source))
        return true; /* it ends in a moment */
    announce_engine(v);
    return v->settings->service.start == START_GATE || give_model(v, e);
}

/* Until a signal comes (true) or the model turns out not to load (false with *e set). */
static bool wait_for_signal(struct service *v, struct err *e)
{
    for (;;) {
        struct pollfd fds[] = {{.fd = v->signals, .events = POLLIN},
                               {.fd = v->loading ? v->load_told : -1, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return err_errno(e, "poll");
        struct signalfd_siginfo taken; /* read, or it would strike once the signals are unblocked */
        if (fds[0].revents && read(v->signals, &taken, sizeof taken) == sizeof taken)
            return true;
        if (fds[1].revents && !take_news(v, e))
            return false;
    }
}

/* How long answers are let run: without a model none can, and who waits for it is told at once. */
static int drain_seconds(const struct service *v)
{
    struct arrival_progress p;
    if (!v->loading)
        return DRAIN_SECONDS;
    arrival_progress(v->arrival, &p);
    return v->given && p.first_token_ms >= 0 && p.first_token_ms < DRAIN_SECONDS * 1e3 ? DRAIN_SECONDS : 0;
}

/* Nobody waits for the weights any more. What does not end is left to the end of the process: reading a
 * folder cannot be interrupted. */
static void end_load(struct service *v, int exit_code)
{
    struct timespec until;
    if (!v->loading)
        return;
    model_source_stop(v->source);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += LOADER_SECONDS;
    if (!model_source_arrives(v->source) || pthread_timedjoin_np(v->loader, NULL, &until) != 0)
        _exit(exit_code);
    v->loading = false;
}

/* Lets running answers finish. A second signal ends the process where it is. */
static void stop(struct service *v, const sigset_t *set)
{
    int seconds = drain_seconds(v);
    log_info("stopping", LOG_INT("seconds", seconds), LOG_END);
    pthread_sigmask(SIG_UNBLOCK, set, NULL);
    bool whole = server_stop(v->server, seconds);
    log_info("stopped", LOG_STR("requests", whole ? "all answered" : "some were cut"), LOG_END);
    end_load(v, 0);
}

static bool run_service(struct service *v, const char *key, struct err *e)
{
    const struct serve_settings *s = v->settings;
    struct server_options o = {.host = s->host,
                               .port = s->port,
                               .api_key = key,
                               .version = FERRY_VERSION,
                               .math = engine_math_name(&s->service.engine),
                               .config = v->config ? config_place_source(v->config) : NULL,
                               .config_seconds = s->service.config_seconds,
                               .gate = s->service.start == START_GATE};
    sigset_t set;
    bool ok = false;
    int inherited;

    v->signals = v->load_told = -1;
    if (!listen_inherited(&inherited, e) || !take_signals(v, &set, e) ||
        !(v->arrival = arrival_new(v->start_ms, e)) ||
        !(v->source = model_source_new(s->model, v->arrival, e)))
        goto done;
    o.arrival = v->arrival;
    o.listen_fd = inherited > 0 ? inherited : 0;
    v->server = server_new(&o, e);
    if (!v->server)
        goto done;
    announce_port(v);
    if (pthread_create(&v->loader, NULL, load, v) != 0) {
        err_set(e, ERR_MEMORY, "cannot start the thread that loads the model");
        goto done;
    }
    v->loading = true;
    ok = wait_for_signal(v, e);
    if (ok)
        stop(v, &set);
done:
    end_load(v, 1);
    server_free(v->server);
    loaded_model_close(&v->model);
    model_source_free(v->source);
    arrival_free(v->arrival);
    if (v->signals >= 0)
        close(v->signals);
    if (v->load_told >= 0)
        close(v->load_told);
    return ok;
}

static bool run_serve(const struct command *c, char **args, int count, struct err *e)
{
    struct serve_settings s = {.service = SERVICE_SETTINGS_UNSET};
    struct service v = {.settings = &s, .start_ms = clock_ms()};
    struct operands o;

    if (!options_read(c, args, count, &s, &o, e))
        return false;
    if (o.help) {
        help_command(stdout, c);
        return true;
    }
    if (o.count)
        s.model = o.items[0];
    if (!s.model)
        return err_set(e, ERR_USAGE, "which model? usage: ferry serve %s", c->synopsis);
    log_set_level((enum log_level)s.service.log);

    struct arena *a = arena_new(8192);
    const char *key = a ? api_key(&s.service, a, e) : NULL;
    if (!a)
        err_set(e, ERR_MEMORY, "no memory");
    if (key && s.service.config)
        v.config = config_place_new(s.service.config, e);
    bool ok = key && (v.config || !s.service.config) && run_service(&v, key, e);
    config_place_free(v.config);
    arena_free(a);
    return ok;
}

static const struct option_group serve_group = {"Options", serve_options,
                                                sizeof serve_options / sizeof *serve_options};
static const struct option_group *const serve_groups[] = {&serve_group, &service_group, &engine_group, NULL};

static const char *const serve_examples[] = {
    "ferry serve ~/models/Qwen2-Audio-7B-Instruct",
    "on port 8080, for any OpenAI client",
    "ferry serve gs://my-models/Qwen2-Audio-7B-Instruct",
    "out of a bucket (ferry stage put it there), answering behind the weights as they come",
    "FERRY_API_KEY=… ferry serve FOLDER --port 9000 --parallel 8 --kv q8",
    "eight answers at a time, a smaller cache, a key asked of clients",
    NULL,
};

const struct command command_serve = {
    .name = "serve",
    .synopsis = "FOLDER|URI [options]",
    .summary = "serve a model over the OpenAI API",
    .about =
        "Loads a Hugging Face model (Qwen2-Audio, or text-only Qwen2 and Qwen2.5) from a folder, a bucket "
        "(gs://BUCKET/PREFIX) or the hub (hf://OWNER/NAME) and answers POST /v1/chat/completions, POST "
        "/v1/audio/transcriptions and GET /v1/models; /healthz, /readyz, /v1/load, /v1/config and "
        "/metrics are for whoever runs it. The port is open at once. From a bucket or the hub the weights go "
        "straight into "
        "memory, no disk is touched, and requests are computed right behind them; what comes before that is "
        "held. SIGTERM and Ctrl-C let running answers finish for 8 seconds; a second one ends at once.",
    .examples = serve_examples,
    .groups = serve_groups,
    .max_operands = 1,
    .run = run_serve,
};
