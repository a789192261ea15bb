#include "run_emulator.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_WORDS = 40 };

__attribute__((noreturn, format(printf, 1, 2))) static void give_up(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("run_emulator: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    abort();
}

/* ---- the process ---- */

struct words {
    const char *list[MAX_WORDS];
    char numbers[8][24];
    int count, numbers_used;
};

static void add(struct words *w, const char *option, const char *value)
{
    if (!value)
        return;
    w->list[w->count++] = option;
    w->list[w->count++] = value;
}

static void add_number(struct words *w, const char *option, uint64_t value, bool always)
{
    char *text = w->numbers[w->numbers_used++];
    snprintf(text, sizeof *w->numbers, "%llu", (unsigned long long)value);
    add(w, option, value || always ? text : NULL);
}

static void make_words(const struct emulator *m, struct words *w)
{
    const struct emulator_options *o = &m->options;
    *w = (struct words){.list = {EMULATOR_PROGRAM, "--with-parent"}, .count = 2};
    add_number(w, "--port", (uint64_t)m->port, true);
    add_number(w, "--cdn-port", (uint64_t)m->cdn_port, true);
    add_number(w, "--token-seconds", (uint64_t)o->token_seconds, false);
    add_number(w, "--url-seconds", (uint64_t)o->url_seconds, false);
    add_number(w, "--lfs-bytes", o->lfs_bytes, false);
    add(w, "--data", m->data);
    add(w, "--hub", o->hub);
    add(w, "--faults", o->faults);
    add(w, "--bucket", o->bucket);
    add(w, "--public-key", o->public_key);
    add(w, "--program", o->program);
}

/* The line it prints when it answers. */
static void read_ports(struct emulator *m, int from)
{
    char line[200] = "";
    size_t used = 0;
    ssize_t n;
    while (!strchr(line, '\n') && (n = read(from, line + used, sizeof line - 1 - used)) > 0)
        used += (size_t)n;
    if (sscanf(line, "{\"port\":%d,\"cdn_port\":%d}", &m->port, &m->cdn_port) != 2)
        give_up("the emulator did not start");
}

static void spawn(struct emulator *m)
{
    struct words w;
    int out[2];
    make_words(m, &w);
    if (pipe2(out, O_CLOEXEC) < 0 || (m->pid = fork()) < 0)
        give_up("%s", strerror(errno));
    if (m->pid == 0) {
        dup2(out[1], STDOUT_FILENO);
        execv(EMULATOR_PROGRAM, (char **)(uintptr_t)w.list);
        _exit(127);
    }
    close(out[1]);
    read_ports(m, out[0]);
    close(out[0]);
}

void emulator_start(struct emulator *m, const struct emulator_options *o)
{
    const char *tmp = getenv("TMPDIR");
    *m = (struct emulator){.options = *o, .scratch = !o->data};
    if (o->data)
        snprintf(m->data, sizeof m->data, "%s", o->data);
    else
        snprintf(m->data, sizeof m->data, "%s/ferry-emulator-XXXXXX", tmp ? tmp : "/tmp");
    if (m->scratch ? !mkdtemp(m->data) : mkdir(m->data, 0700) < 0 && errno != EEXIST)
        give_up("%s: %s", m->data, strerror(errno));
    snprintf(m->log, sizeof m->log, "%s/requests.jsonl", m->data);
    spawn(m);
}

static int end_with(struct emulator *m, int signal)
{
    int status = 0;
    if (m->pid <= 0)
        return 0;
    kill(m->pid, signal);
    while (waitpid(m->pid, &status, 0) < 0 && errno == EINTR)
        ;
    m->pid = 0;
    return status;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *f)
{
    (void)st, (void)kind, (void)f;
    return remove(path);
}

void emulator_stop(struct emulator *m)
{
    int status = end_with(m, SIGTERM);
    if (m->scratch)
        nftw(m->data, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    if (status)
        give_up("the emulator ended badly (%d)", status);
}

void emulator_kill(struct emulator *m)
{
    end_with(m, SIGKILL);
}

void emulator_restart(struct emulator *m)
{
    end_with(m, SIGKILL);
    spawn(m);
}

/* ---- for the program under test ---- */

const char *emulator_url(const struct emulator *m)
{
    static char url[40];
    snprintf(url, sizeof url, "http://127.0.0.1:%d", m->port);
    return url;
}

void emulator_setenv(const struct emulator *m)
{
    static const char *const endpoints[] = {
        "FERRY_ENDPOINT_STORAGE",          "FERRY_ENDPOINT_OAUTH2",       "FERRY_ENDPOINT_RUN",
        "FERRY_ENDPOINT_ARTIFACTREGISTRY", "FERRY_ENDPOINT_SERVICEUSAGE", "FERRY_ENDPOINT_IAM",
        "FERRY_ENDPOINT_LOGGING",          "FERRY_ENDPOINT_REGISTRY",     "FERRY_ENDPOINT_SECRETMANAGER",
        "FERRY_ENDPOINT_CLOUDBILLING",     "FERRY_ENDPOINT_COMPUTE"};
    static const char *const others[] = {"GOOGLE_APPLICATION_CREDENTIALS",
                                         "GOOGLE_CLOUD_QUOTA_PROJECT",
                                         "GOOGLE_CLOUD_PROJECT",
                                         "GCLOUD_PROJECT",
                                         "STORAGE_EMULATOR_HOST",
                                         "FERRY_ACCESS_TOKEN_FILE",
                                         "HUGGING_FACE_HUB_TOKEN",
                                         "HF_TOKEN_PATH",
                                         "HF_HUB_OFFLINE",
                                         "http_proxy",
                                         "https_proxy",
                                         "HTTP_PROXY",
                                         "HTTPS_PROXY",
                                         "all_proxy",
                                         "ALL_PROXY"};
    char home[300], host[40];
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        unsetenv(others[i]);
    snprintf(home, sizeof home, "%s/home", m->data);
    snprintf(host, sizeof host, "127.0.0.1:%d", m->port);
    mkdir(home, 0700);
    for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++)
        setenv(endpoints[i], emulator_url(m), 1);
    setenv("HF_ENDPOINT", emulator_url(m), 1);
    setenv("GCE_METADATA_HOST", host, 1);
    setenv("FERRY_ACCESS_TOKEN", EMULATOR_TOKEN, 1);
    setenv("HF_TOKEN", EMULATOR_HF_TOKEN, 1);
    setenv("CLOUDSDK_CONFIG", home, 1);
    setenv("HF_HOME", home, 1);
    setenv("FERRY_PRICES", "snapshot", 1);
}

/* ---- talking to it ---- */

static int dial(const struct emulator *m)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)m->port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at) < 0)
        give_up("cannot reach the emulator: %s", strerror(errno));
    return fd;
}

static void control(const struct emulator *m, const char *path, const char *body)
{
    char answer[4096] = "";
    size_t used = 0;
    ssize_t n;
    int status = 0, fd = dial(m);
    dprintf(fd, "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
            path, strlen(body), body);
    while (used < sizeof answer - 1 && (n = read(fd, answer + used, sizeof answer - 1 - used)) > 0)
        used += (size_t)n;
    close(fd);
    if (sscanf(answer, "HTTP/1.1 %d", &status) != 1 || status != 204)
        give_up("%s: %s", path, answer);
}

void emulator_faults(struct emulator *m, const char *what)
{
    control(m, "/emulator/faults", what ? what : "");
}

void emulator_log_clear(const struct emulator *m)
{
    control(m, "/emulator/idle", "");
    control(m, "/emulator/log/clear", "");
}

void emulator_forget_invalid(const struct emulator *m)
{
    control(m, "/emulator/idle", "");
    control(m, "/emulator/invalid/forget", "");
}

json_t *emulator_log(const struct emulator *m)
{
    json_t *all = json_array(), *line;
    if (m->pid > 0)
        control(m, "/emulator/idle", "");
    FILE *f = fopen(m->log, "r");
    if (!f)
        give_up("%s: %s", m->log, strerror(errno));
    /* a kill may have left half of a last line */
    while ((line = json_loadf(f, JSON_DISABLE_EOF_CHECK, NULL)))
        json_array_append_new(all, line);
    fclose(f);
    return all;
}

static bool counts(const json_t *r, const char *method, const char *path, int status)
{
    return (!method || !strcmp(method, json_string_value(json_object_get(r, "method")))) &&
           (!path || fnmatch(path, json_string_value(json_object_get(r, "path")), 0) == 0) &&
           (!status || status == json_integer_value(json_object_get(r, "status")));
}

struct emulator_count emulator_count(const struct emulator *m, const char *method, const char *path,
                                     int status)
{
    struct emulator_count c = {0};
    json_t *log = emulator_log(m), *r;
    size_t i;
    json_array_foreach(log, i, r) if (counts(r, method, path, status))
    {
        c.requests++;
        c.body += (uint64_t)json_integer_value(json_object_get(r, "body"));
        c.sent += (uint64_t)json_integer_value(json_object_get(r, "sent"));
    }
    json_decref(log);
    return c;
}
