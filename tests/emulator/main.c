/* emulator: Cloud Storage, Cloud Run and its neighbours, the Hugging Face Hub, Google's token endpoint and
 * the metadata server, on 127.0.0.1, for tests. Written from recorded exchanges and the services' own
 * descriptions, never from Ferry's client code. */
#include "api/api.h"
#include "hub_repo.h"
#include "jobs.h"
#include "run_emulator.h"
#include "service.h"
#include "storage.h"
#include "vms.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static const char usage[] =
    "usage: emulator --port N --data FOLDER [options]\n"
    "\n"
    "Answers as Cloud Storage (JSON and XML), Cloud Run, Compute Engine, Artifact Registry, Service Usage, "
    "IAM, Logging, "
    "the\n"
    "Hugging Face Hub, Google's token endpoint and the metadata server do, and prints "
    "{\"port\":N,\"cdn_port\":M} when it is ready. Port 0 is a "
    "free one. State is kept in\n"
    "FOLDER and survives a restart; FOLDER/requests.jsonl tells every request. One that "
    "Google's\n"
    "description of its API does not know is refused, and lets the emulator end with 1.\n"
    "\n"
    "  --hub FOLDER          owner/name folders there are the hub's repositories\n"
    "  --faults NAME|FILE    what goes wrong (tests/emulator/faults, faults.h)\n"
    "  --bucket NAME         make this bucket at start\n"
    "  --public-key FILE     of the service account whose assertions are good\n"
    "  --service-url URL     where services of Cloud Run are said to answer\n"
    "  --token-seconds N     life of an access token (3599)\n"
    "  --url-seconds N       life of a signed URL (3600)\n"
    "  --lfs-bytes N         files of the hub from this size on are LFS (10485760)\n"
    "  --cdn-port N          where signed URLs point (0)\n"
    "  --program FILE        what the tasks of Cloud Run's jobs and the containers of VMs run\n"
    "  --log FILE            instead of FOLDER/requests.jsonl\n"
    "  --with-parent         end when the program that started it does\n";

static bool parse(int argc, char **argv, struct settings *s)
{
    enum {
        PORT = 1,
        DATA,
        HUB,
        FAULTS,
        BUCKET,
        KEY,
        SERVICE,
        TOKEN,
        URL,
        LFS,
        CDN,
        LOG,
        PARENT,
        PROGRAM,
        HELP
    };
    static const struct option options[] = {{"port", 1, NULL, PORT},
                                            {"data", 1, NULL, DATA},
                                            {"hub", 1, NULL, HUB},
                                            {"faults", 1, NULL, FAULTS},
                                            {"bucket", 1, NULL, BUCKET},
                                            {"public-key", 1, NULL, KEY},
                                            {"service-url", 1, NULL, SERVICE},
                                            {"token-seconds", 1, NULL, TOKEN},
                                            {"url-seconds", 1, NULL, URL},
                                            {"lfs-bytes", 1, NULL, LFS},
                                            {"cdn-port", 1, NULL, CDN},
                                            {"log", 1, NULL, LOG},
                                            {"with-parent", 0, NULL, PARENT},
                                            {"program", 1, NULL, PROGRAM},
                                            {"help", 0, NULL, HELP},
                                            {NULL, 0, NULL, 0}};
    *s = (struct settings){.token_seconds = 3599, .url_seconds = 3600, .lfs_bytes = 10 << 20};
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;)
        switch (o) {
        case PORT:
            s->port = atoi(optarg);
            break;
        case CDN:
            s->cdn_port = atoi(optarg);
            break;
        case DATA:
            s->data = optarg;
            break;
        case HUB:
            s->hub = optarg;
            break;
        case FAULTS:
            s->faults = optarg;
            break;
        case BUCKET:
            s->bucket = optarg;
            break;
        case KEY:
            s->public_key = optarg;
            break;
        case SERVICE:
            s->service_url = optarg;
            break;
        case TOKEN:
            s->token_seconds = atoi(optarg);
            break;
        case URL:
            s->url_seconds = atoi(optarg);
            break;
        case LFS:
            s->lfs_bytes = strtoull(optarg, NULL, 10);
            break;
        case PROGRAM:
            s->program = optarg;
            break;
        case LOG:
            s->log = optarg;
            break;
        case PARENT:
            prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that aborts leaves nothing running */
            break;
        default:
            return false;
        }
    return s->data && optind == argc;
}

static bool open_log(struct service *s, struct err *e)
{
    char path[300];
    snprintf(path, sizeof path, "%s/requests.jsonl", s->settings.data);
    const char *log = s->settings.log ? s->settings.log : path;
    s->log = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    return s->log >= 0 || err_errno(e, "%s", log);
}

/* In the folder, so that it outlives a kill. */
static bool open_invalid(struct service *s, struct err *e)
{
    char path[300];
    snprintf(path, sizeof path, "%s/invalid.txt", s->settings.data);
    s->invalid = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    return s->invalid >= 0 || err_errno(e, "%s", path);
}

/* Whatever the tests made of it, a client sent what Google does not know. */
static bool tell_invalid(const struct service *s)
{
    char text[4096];
    ssize_t n = pread(s->invalid, text, sizeof text - 1, 0);
    if (n <= 0)
        return n == 0;
    text[n] = 0;
    fprintf(stderr, "emulator: requests that the API's description does not know:\n%s", text);
    return false;
}

static bool service_open(struct service *s, struct err *e)
{
    if (!open_log(s, e) || !open_invalid(s, e) || !(s->apis = apis_load(EMULATOR_APIS, e)) ||
        !(s->world = world_open(s->settings.data, e)))
        return false;
    s->faults = faults_new();
    s->jobs = jobs_new();
    s->vms = vms_new();
    s->tokens = tokens_new();
    s->hub = s->settings.hub ? hub_new(s->settings.hub, s->settings.lfs_bytes) : NULL;
    if (s->settings.bucket)
        bucket_make(s->world, s->settings.bucket);
    return faults_set(s->faults, s->settings.faults, e);
}

static void service_close(struct service *s)
{
    jobs_free(s->jobs);
    vms_free(s->vms);
    world_close(s->world);
    faults_free(s->faults);
    tokens_free(s->tokens);
    hub_free(s->hub);
    apis_free(s->apis);
    if (s->log >= 0)
        close(s->log);
    if (s->invalid >= 0)
        close(s->invalid);
}

static void wait_for_the_end(void)
{
    sigset_t ends;
    int which;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigwait(&ends, &which);
}

static void block_signals(void)
{
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ends, NULL); /* before there are threads: they inherit it */
    signal(SIGPIPE, SIG_IGN);
}

int main(int argc, char **argv)
{
    struct service s = {.log = -1, .invalid = -1};
    bool ok = false;
    struct server *cdn = NULL, *server = NULL;
    struct err e = {0};
    if (!parse(argc, argv, &s.settings)) {
        fputs(usage, stderr);
        return 2;
    }
    block_signals();
    if (service_open(&s, &e) && (cdn = server_start(&s, s.settings.cdn_port, "cdn", &e))) {
        s.cdn_port = server_port(cdn);
        server = server_start(&s, s.settings.port, "main", &e);
    }
    if (server) {
        printf("{\"port\":%d,\"cdn_port\":%d}\n", server_port(server), s.cdn_port);
        fflush(stdout);
        wait_for_the_end();
    } else {
        fprintf(stderr, "emulator: %s\n", e.text);
    }
    atomic_store(&s.stopping, true);
    server_stop(server);
    server_stop(cdn);
    ok = server && tell_invalid(&s);
    service_close(&s);
    return ok ? 0 : 1;
}
