/* A cold start, measured from outside: `ferry serve gs://…` from exec to the first token of a spoken question
 * that was asked at once, over a line of limited speed; beside copying everything first, and beside the line
 * itself.
 *
 * The server is nginx with TLS on loopback (bench/bucket/serve), the line a forwarder in this process. */
#include "base/clock.h"
#include "net/http.h"
#include "options.h"
#include "questions.h"
#include "rows.h"
#include "throttle.h"
#include "timeline_svg.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_BYTES = 1 << 20, GIVE_UP_MS = 600000, AUDIO_SECONDS = 12, MAX_ROUNDS = 20 };

static const char usage[] = //
    "usage: bench_coldstart --ferry PROGRAM --port N --ca FILE --copies FOLDER [options]\n"
    "  --port N       of nginx with TLS (bench/bucket/serve ROOT FOLDER)\n"
    "  --ca FILE      its certificate\n"
    "  --copies DIR   on tmpfs: where everything is copied first, to compare\n"
    "  --pull CMD     bench_pull with its arguments: the yardstick of the unlimited line\n"
    "  --rate MB/S    only this line (without it: 125, 500, 1000 MB/s and one without a limit)\n"
    "  --pull-only    only the comparison with --pull\n"
    "  --rounds N     (1) the best counts\n"
    "  --svg FILE     both timelines of the first rate, as a picture\n";

struct options {
    const char *ferry, *ca, *copies, *pull, *svg;
    int port, rate, rounds;
    bool pull_only;
};

/* A `ferry serve` and when it was started. */
struct service {
    pid_t pid;
    int port;
    double begun_ms;
};

struct text {
    char *bytes; /* [ANSWER_BYTES] */
    size_t size;
};

static struct http *http;

/* --- processes --- */

static int free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), port = 0;
    if (fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0 &&
        getsockname(fd, (struct sockaddr *)&a, &size) == 0)
        port = ntohs(a.sin_port);
    if (fd >= 0)
        close(fd);
    return port;
}

static bool is_bound(int port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool bound = fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0;
    if (fd >= 0)
        close(fd);
    return bound;
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

/* stdout is for rows. */
static pid_t spawn(char *const *words)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    if (!freopen("/dev/null", "w", stdout))
        _exit(127);
    execv(words[0], words);
    perror(words[0]);
    _exit(127);
}

static bool start(struct service *v, const struct options *o, const char *model, const char *mode,
                  struct err *e)
{
    char port[16];
    *v = (struct service){.port = free_port()};
    snprintf(port, sizeof port, "%d", v->port);
    char *words[] = {(char *)(uintptr_t)o->ferry,
                     (char[]){"serve"},
                     (char *)(uintptr_t)model,
                     (char[]){"--port"},
                     port,
                     (char[]){"--start"},
                     (char *)(uintptr_t)mode,
                     (char[]){"--parallel"},
                     (char[]){"1"},
                     (char[]){"--log"},
                     (char[]){"warning"},
                     NULL};
    v->begun_ms = clock_ms();
    v->pid = spawn(words);
    while (v->pid > 0 && !is_bound(v->port))
        if (waitpid(v->pid, NULL, WNOHANG) != 0 || clock_ms() - v->begun_ms > GIVE_UP_MS)
            return err_set(e, ERR_IO, "ferry serve %s did not start", model);
    return v->pid > 0 || err_errno(e, "fork");
}

static void end(struct service *v)
{
    if (v->pid > 0) {
        kill(v->pid, SIGKILL);
        waitpid(v->pid, NULL, 0);
    }
}

/* --- requests --- */

static bool collect(void *arg, const char *bytes, size_t size, struct err *e)
{
    struct text *t = arg;
    if (size >= ANSWER_BYTES - t->size)
        return err_set(e, ERR_LIMIT, "an answer of more than %d bytes", ANSWER_BYTES);
    memcpy(t->bytes + t->size, bytes, size);
    t->size += size;
    t->bytes[t->size] = 0;
    return true;
}

/* A JSON answer; NULL with *e set when it is none or not 200. */
static json_t *call(const struct service *v, const char *method, const char *path, const char *body,
                    struct err *e)
{
    char url[128];
    struct http_reply reply;
    struct text t = {.bytes = malloc(ANSWER_BYTES)};
    json_t *answer = NULL;
    snprintf(url, sizeof url, "http://127.0.0.1:%d%s", v->port, path);
    struct http_request q = {.method = method,
                             .url = url,
                             .body = body,
                             .body_size = body ? strlen(body) : 0,
                             .content_type = body ? "application/json" : NULL,
                             .stall_seconds = GIVE_UP_MS / 1000,
                             .on_data = collect,
                             .arg = &t};
    if (!t.bytes)
        err_set(e, ERR_MEMORY, "no memory for an answer");
    else if (http_send(http, &q, &reply, e)) {
        answer = reply.status == 200 ? json_loadb(t.bytes, t.size, JSON_ALLOW_NUL, NULL) : NULL;
        if (!answer)
            err_set(e, ERR_CORRUPT, "%s: status %d: %.300s", path, reply.status, reply.problem);
    }
    free(t.bytes);
    return answer;
}

/* One token: when the answer is there, the first token is. */
static bool ask(const struct service *v, double *first_ms, struct err *e)
{
    const struct question q = {"What is said here?", AUDIO_SECONDS};
    char *body = question_body(&q, "model", 1, false);
    json_t *answer = body ? call(v, "POST", "/v1/chat/completions", body, e) : NULL;
    *first_ms = clock_ms() - v->begun_ms;
    free(body);
    json_decref(answer);
    return answer != NULL;
}

/* What GET /v1/load says once everything is there. */
static json_t *wait_loaded(const struct service *v, struct err *e)
{
    for (;;) {
        json_t *load = call(v, "GET", "/v1/load", NULL, e);
        const char *state = json_string_value(json_object_get(load, "state"));
        if (!load || strcmp(state, "loaded") == 0)
            return load;
        json_decref(load);
        pause_ms(20);
    }
}

/* --- the two ways --- */

struct streamed {
    double first_ms;
    json_t *load;
};

static bool run_streamed(const struct options *o, bool asked, struct streamed *s, struct err *e)
{
    struct service v;
    *s = (struct streamed){0};
    bool ok = start(&v, o, "gs://bench/model", "stream", e) && (!asked || ask(&v, &s->first_ms, e)) &&
              (s->load = wait_loaded(&v, e));
    end(&v);
    return ok;
}

static bool copy_all(const struct options *o, struct err *e)
{
    char *words[] = {(char *)(uintptr_t)o->ferry,
                     (char[]){"cp"},
                     (char[]){"-q"},
                     (char[]){"-r"},
                     (char[]){"gs://bench/model"},
                     (char *)(uintptr_t)o->copies,
                     NULL};
    int status = 0;
    pid_t pid = spawn(words);
    return (pid > 0 && waitpid(pid, &status, 0) == pid && status == 0) ||
           err_set(e, ERR_IO, "ferry cp failed (%d)", status);
}

static void remove_copies(const struct options *o)
{
    char folder[4096];
    snprintf(folder, sizeof folder, "%s/model", o->copies);
    char *words[] = {(char[]){"/bin/rm"}, (char[]){"-rf"}, folder, NULL};
    waitpid(spawn(words), NULL, 0);
}

static bool run_one_after_another(const struct options *o, struct one_after_another *r, struct err *e)
{
    char folder[4096];
    struct service v = {0};
    double begun = clock_ms();
    snprintf(folder, sizeof folder, "%s/model", o->copies);
    bool ok = copy_all(o, e);
    r->copied_ms = clock_ms() - begun;
    ok = ok && start(&v, o, folder, "gate", e);
    json_t *load = ok ? wait_loaded(&v, e) : NULL;
    r->ready_ms = clock_ms() - begun;
    while (ok && !is_bound(v.port))
        pause_ms(1);
    ok = load && ask(&v, &r->first_ms, e);
    r->first_ms = clock_ms() - begun;
    json_decref(load);
    end(&v);
    remove_copies(o);
    return ok;
}

/* --- what is printed --- */

static double number(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

/* All but the embedding, of which a prompt needs a few rows. */
static double needed_bytes(const json_t *load)
{
    double bytes = 0;
    const json_t *s;
    for (size_t i = 0; (s = json_array_get(json_object_get(load, "stages"), i)); i++)
        if (strcmp(json_string_value(json_object_get(s, "name")), "embedding") != 0)
            bytes += number(s, "total");
    return bytes;
}

/* Computing of the last decoder layer and the head: what is left when the last byte has come. */
static double last_layer_ms(const json_t *load)
{
    const json_t *stages = json_object_get(load, "stages");
    size_t n = json_array_size(stages); /* …, the last layer, head, embedding */
    return n < 3 ? 0
                 : number(json_array_get(stages, n - 3), "busy_ms") +
                       number(json_array_get(stages, n - 2), "busy_ms");
}

static void name_rate(int rate, char out[32])
{
    if (rate)
        snprintf(out, 32, "%d MB/s", rate);
    else
        snprintf(out, 32, "no limit");
}

static void print_loaded(const struct rows *rows, int rate, const char *when, const json_t *load)
{
    char name[32], setting[80];
    double ms = number(load, "elapsed_ms");
    name_rate(rate, name);
    snprintf(setting, sizeof setting, "everything loaded %s %s", when, name);
    if (rate)
        rows_ratio(rows, setting, ms * 1e-3, "s", ms / (number(load, "total") / (rate * 1e3)),
                   "all bytes / rate");
    else
        rows_value(rows, setting, ms * 1e-3, "s");
}

static void print_first(const struct rows *rows, int rate, const struct streamed *s)
{
    char name[32], setting[80];
    double line_ms = rate ? needed_bytes(s->load) / (rate * 1e3) : 0, last = last_layer_ms(s->load);
    name_rate(rate, name);
    snprintf(setting, sizeof setting, "first token behind the weights %s", name);
    if (rate)
        rows_ratio(rows, setting, s->first_ms * 1e-3, "s", (s->first_ms - last) / line_ms,
                   "bytes needed / rate and the last layer");
    else
        rows_value(rows, setting, s->first_ms * 1e-3, "s");
}

static void print_other(const struct rows *rows, int rate, const struct one_after_another *r,
                        const struct streamed *s)
{
    char name[32], setting[80];
    name_rate(rate, name);
    snprintf(setting, sizeof setting, "first token after copy and load %s", name);
    rows_ratio(rows, setting, r->first_ms * 1e-3, "s", r->first_ms / s->first_ms, "behind the weights");
}

static bool set_line(const struct options *o, int rate, struct throttle **t, struct err *e)
{
    char url[64];
    int port = o->port;
    *t = NULL;
    if (rate && !(*t = throttle_new(o->port, rate * 1e6, e)))
        return false;
    port = *t ? throttle_port(*t) : port;
    snprintf(url, sizeof url, "https://127.0.0.1:%d", port);
    return setenv("FERRY_ENDPOINT_STORAGE", url, 1) == 0;
}

static bool measure_rate(const struct options *o, const struct rows *rows, int rate, const char *svg,
                         struct err *e)
{
    struct throttle *t;
    struct streamed best = {0};
    struct one_after_another other = {0};
    bool ok = set_line(o, rate, &t, e);
    for (int i = 0; ok && i < o->rounds; i++) {
        struct streamed s;
        ok = run_streamed(o, true, &s, e);
        bool better = ok && (!best.load || s.first_ms < best.first_ms);
        json_decref(better ? best.load : s.load);
        best = better ? s : best;
    }
    struct streamed unasked = {0};
    ok = ok && run_one_after_another(o, &other, e) && run_streamed(o, false, &unasked, e);
    if (ok) {
        print_first(rows, rate, &best);
        print_loaded(rows, rate, "beside an answer", best.load);
        print_loaded(rows, rate, "unasked", unasked.load);
        print_other(rows, rate, &other, &best);
    }
    if (ok && svg) {
        char name[32], title[200];
        name_rate(rate, name);
        snprintf(title, sizeof title,
                 "A cold start of %.1f GB over %s: the answer is computed as the weights arrive",
                 number(best.load, "total") * 1e-9, name);
        const struct timelines both = {title, best.load, best.first_ms, other};
        ok = timeline_svg_write(svg, &both, e);
    }
    json_decref(unasked.load);
    json_decref(best.load);
    throttle_free(t);
    return ok;
}

/* Seconds that a program says it took: bench_pull's first word. */
static bool pull(const char *command, double *seconds, struct err *e)
{
    FILE *f = popen(command, "r");
    bool ok = f && fscanf(f, "%lf", seconds) == 1;
    if (f && pclose(f) != 0)
        ok = false;
    return ok || err_set(e, ERR_IO, "%s: failed", command);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* From the first byte asked for to the last one checked, without a request, in turns with the bare puller. */
static bool measure_pull(const struct options *o, const struct rows *rows, struct err *e)
{
    struct throttle *none;
    double ratios[MAX_ROUNDS], best = 0;
    if (!set_line(o, 0, &none, e))
        return false;
    for (int i = 0; i < o->rounds; i++) {
        struct streamed s;
        double seconds;
        if (!pull(o->pull, &seconds, e) || !run_streamed(o, false, &s, e))
            return false;
        const json_t *phases = json_object_get(s.load, "phases");
        double ms = number(s.load, "elapsed_ms") - number(phases, "start_ms") - number(phases, "files_ms"),
               rate = number(s.load, "total") / ms * 1e-6;
        best = rate > best ? rate : best;
        ratios[i] = rate / (number(s.load, "total") / seconds * 1e-9);
        json_decref(s.load);
    }
    qsort(ratios, (size_t)o->rounds, sizeof *ratios, by_size);
    rows_ratio(rows, "TLS to verified slots", best, "GB/s", ratios[o->rounds / 2], "bare puller");
    return true;
}

static bool parse(int argc, char **argv, struct options *o)
{
    *o = (struct options){.rounds = 1};
    const struct option_row rows[] = {
        {"ferry", OPTION_TEXT, &o->ferry},
        {"port", OPTION_NUMBER, &o->port},
        {"ca", OPTION_TEXT, &o->ca},
        {"copies", OPTION_TEXT, &o->copies},
        {"pull", OPTION_TEXT, &o->pull},
        {"rate", OPTION_NUMBER, &o->rate},
        {"rounds", OPTION_NUMBER, &o->rounds},
        {"svg", OPTION_TEXT, &o->svg},
        {"pull-only", OPTION_FLAG, &o->pull_only},
    };
    return options_parse(argc, argv, rows, sizeof rows / sizeof *rows, NULL) && o->ferry && o->ca &&
           o->copies && o->port > 0 && o->rounds <= MAX_ROUNDS;
}

static bool measure(const struct options *o, struct err *e)
{
    static const int all[] = {125, 500, 1000, 0};
    struct rows rows;
    rows_begin(&rows, "coldstart");
    if (o->pull_only && o->pull)
        return measure_pull(o, &rows, e);
    if (o->rate > 0)
        return measure_rate(o, &rows, o->rate, o->svg, e);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!measure_rate(o, &rows, all[i], i == 0 ? o->svg : NULL, e))
            return false;
    return !o->pull || measure_pull(o, &rows, e);
}

int main(int argc, char **argv)
{
    struct options o;
    struct err e = {0};
    if (!parse(argc, argv, &o)) {
        fputs(usage, stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    setenv("FERRY_ACCESS_TOKEN", "token", 1);
    setenv("CURL_CA_BUNDLE", o.ca, 1);
    bool ok = (http = http_new(&e)) && measure(&o, &e);
    if (!ok)
        fprintf(stderr, "bench_coldstart: %s\n", e.text);
    http_free(http);
    return ok ? 0 : 1;
}
