/* Load on a running `ferry serve`: clients that each ask one question after another for a while, with and
 * without audio, streamed. Reports errors, times to the first token and to the last, tokens per second,
 * fairness, and the server's memory over time. Exits with 1 when any request failed. */
#include "base/clock.h"
#include "net/http.h"
#include "net/sse.h"
#include "options.h"
#include "questions.h"
#include "rows.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    MAX_CLIENTS = 1024,
    MAX_ANSWERS = 1 << 18, /* over all clients */
    MAX_EVENT = 1 << 20,   /* bytes */
    MAX_SECONDS = 86400,   /* of a run */
};

static const char usage[] = //
    "usage: bench_serve --port N [options]\n"
    "  --host NAME     (127.0.0.1)\n"
    "  --pid N         the server's process: its memory is reported too\n"
    "  --clients N     at once (32)\n"
    "  --seconds N     after that no new request is sent (60)\n"
    "  --max-tokens N  of an answer (16)\n";

struct options {
    const char *host;
    int port, pid, clients, seconds, max_tokens;
};

/* What clients ask, in turns. */
static const struct question kinds[] = {
    {"What is a cold start?", 0},
    {"What is said here?", 1},
    {"Tell me, in as many words as you like, how a ferry crosses a river that is wider than it is deep.", 0},
    {"Is this a tone?", 3},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

struct answer {
    float first_ms, total_ms;
    int tokens;
};

struct load {
    const struct options *o;
    char url[512];
    char *bodies[KINDS];
    double end_ms;
    struct {
        pthread_mutex_t mutex;
        struct answer *answers; /* [MAX_ANSWERS] */
        size_t count;
        int errors;
        char first_error[1200];
    } locked;
};

struct client {
    pthread_t thread;
    struct load *load;
    int index, requests;
};

struct text {
    char bytes[4096];
    size_t size;
};

static bool collect(void *arg, const char *bytes, size_t size, struct err *e)
{
    struct text *t = arg;
    if (size > sizeof t->bytes - t->size)
        return err_set(e, ERR_LIMIT, "/v1/models: more than %zu bytes", sizeof t->bytes);
    memcpy(t->bytes + t->size, bytes, size);
    t->size += size;
    return true;
}

/* The name of the model that is served. */
static bool find_model(struct http *h, const struct options *o, char *name, size_t room, struct err *e)
{
    char url[512];
    struct text text = {0};
    struct http_reply reply;
    snprintf(url, sizeof url, "http://%s:%d/v1/models", o->host, o->port);
    struct http_request q = {.method = "GET", .url = url, .on_data = collect, .arg = &text};
    if (!http_send(h, &q, &reply, e))
        return err_wrap(e, "%s", url);
    json_t *root = json_loadb(text.bytes, text.size, 0, NULL);
    const char *id =
        json_string_value(json_object_get(json_array_get(json_object_get(root, "data"), 0), "id"));
    bool ok = id || err_set(e, ERR_CORRUPT, "%s: no model in the answer (status %d)", url, reply.status);
    if (ok)
        snprintf(name, room, "%s", id);
    json_decref(root);
    return ok;
}

/* ---- one request ---- */

struct stream {
    struct sse *sse;
    double start_ms, first_ms; /* first_ms 0: nothing yet */
    int tokens;
    bool done;
};

static bool on_event(void *arg, const struct sse_event *event, struct err *e)
{
    struct stream *s = arg;
    if (strcmp(event->data, "[DONE]") == 0) {
        s->done = true;
        return true;
    }
    json_error_t why = {.text = "an error"};
    json_t *root =
        json_loadb(event->data, event->size, JSON_ALLOW_NUL, &why); /* a model may write any character */
    json_t *choice = json_array_get(json_object_get(root, "choices"), 0);
    const char *text = json_string_value(json_object_get(json_object_get(choice, "delta"), "content"));
    json_t *tokens = json_object_get(json_object_get(root, "usage"), "completion_tokens");
    if (text && *text && s->first_ms <= 0)
        s->first_ms = clock_ms() - s->start_ms;
    if (tokens)
        s->tokens = (int)json_integer_value(tokens);
    bool ok = (root && !json_object_get(root, "error")) ||
              err_set(e, ERR_CORRUPT, "event: %s: %.600s", why.text, event->data);
    json_decref(root);
    return ok;
}

static bool on_bytes(void *arg, const char *bytes, size_t size, struct err *e)
{
    struct stream *s = arg;
    return sse_push(s->sse, bytes, size, e);
}

static bool ask(struct http *h, const struct load *l, int kind, struct answer *a, struct err *e)
{
    struct stream s = {.start_ms = clock_ms()};
    struct http_reply reply;
    struct http_request q = {.method = "POST",
                             .url = l->url,
                             .content_type = "application/json",
                             .accept = "text/event-stream",
                             .body = l->bodies[kind],
                             .body_size = strlen(l->bodies[kind]),
                             .on_data = on_bytes,
                             .arg = &s};
    s.sse = sse_new(MAX_EVENT, on_event, &s, e);
    bool ok = s.sse && http_send(h, &q, &reply, e);
    double total = clock_ms() - s.start_ms;
    if (ok && reply.status != 200)
        ok = err_set(e, ERR_TRANSIENT, "status %d: %.300s", reply.status, reply.problem);
    else if (ok && (!s.done || s.tokens < 1))
        ok = err_set(e, ERR_CORRUPT, "the stream ended after %d tokens without [DONE] or usage", s.tokens);
    sse_free(s.sse);
    /* An answer may hold nothing to show (special tokens only); its first token then is its last. */
    *a = (struct answer){(float)(s.first_ms > 0 ? s.first_ms : total), (float)total, s.tokens};
    return ok;
}

static void record(struct load *l, bool ok, const struct answer *a, const struct err *e)
{
    pthread_mutex_lock(&l->locked.mutex);
    if (ok && l->locked.count < MAX_ANSWERS)
        l->locked.answers[l->locked.count++] = *a;
    if (!ok && l->locked.errors++ == 0)
        snprintf(l->locked.first_error, sizeof l->locked.first_error, "%s", e->text);
    pthread_mutex_unlock(&l->locked.mutex);
}

static void *run_client(void *arg)
{
    struct client *c = arg;
    struct err e = {0};
    struct answer a = {0};
    struct http *h = http_new(&e);
    if (!h)
        record(c->load, false, &a, &e);
    for (int i = c->index; h && clock_ms() < c->load->end_ms; i++) {
        bool ok = ask(h, c->load, i % KINDS, &a, &e);
        c->requests += ok;
        record(c->load, ok, &a, &e);
        if (!ok) /* a server that refuses is not asked again at once */
            nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
    http_free(h);
    return NULL;
}

/* ---- the server's memory ---- */

struct memory {
    double early_mb, late_mb, most_mb; /* after a quarter of the time; at the end; at any time */
};

static double rss_mb(int pid)
{
    char path[64], line[256];
    double kb = 0;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmRSS: %lf kB", &kb) == 1)
            break;
    if (f)
        fclose(f);
    return kb / 1024;
}

static void watch(const struct options *o, struct memory *m)
{
    for (int i = 0; i <= o->seconds; i++) {
        double now = o->pid ? rss_mb(o->pid) : 0;
        if (i <= o->seconds / 4)
            m->early_mb = now;
        m->late_mb = now;
        m->most_mb = now > m->most_mb ? now : m->most_mb;
        if (i < o->seconds)
            nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
    }
}

/* ---- report ---- */

static int by_first(const void *a, const void *b)
{
    const struct answer *x = a, *y = b;
    return (x->first_ms > y->first_ms) - (x->first_ms < y->first_ms);
}

static int by_total(const void *a, const void *b)
{
    const struct answer *x = a, *y = b;
    return (x->total_ms > y->total_ms) - (x->total_ms < y->total_ms);
}

static void print_percentiles(const struct rows *rows, const struct load *l, bool first)
{
    static const int percents[] = {50, 95, 99};
    size_t n = l->locked.count;
    qsort(l->locked.answers, n, sizeof *l->locked.answers, first ? by_first : by_total);
    for (size_t i = 0; n > 0 && i < sizeof percents / sizeof *percents; i++) {
        char setting[64];
        const struct answer *a = &l->locked.answers[(n - 1) * (size_t)percents[i] / 100];
        snprintf(setting, sizeof setting, "%s p%d", first ? "first token" : "whole answer", percents[i]);
        rows_value(rows, setting, first ? a->first_ms : a->total_ms, "ms");
    }
}

static void print_fairness(const struct rows *rows, const struct client *clients, int count)
{
    int least = clients[0].requests, most = least;
    for (int i = 1; i < count; i++) {
        least = clients[i].requests < least ? clients[i].requests : least;
        most = clients[i].requests > most ? clients[i].requests : most;
    }
    rows_value(rows, "answers of the client with the most", most, "requests");
    rows_ratio(rows, "answers of the client with the fewest", least, "requests",
               most ? (double)least / most : 0, "the most");
}

static void report(const struct load *l, const struct client *clients, const struct memory *m, double seconds)
{
    struct rows rows;
    double tokens = 0;
    rows_begin(&rows, "serve");
    for (size_t i = 0; i < l->locked.count; i++)
        tokens += l->locked.answers[i].tokens;
    rows_value(&rows, "clients", l->o->clients, "");
    rows_value(&rows, "answers", (double)l->locked.count, "requests");
    rows_value(&rows, "errors", l->locked.errors, "requests");
    rows_value(&rows, "output", tokens / seconds, "tokens/s");
    print_percentiles(&rows, l, true);
    print_percentiles(&rows, l, false);
    print_fairness(&rows, clients, l->o->clients);
    if (l->o->pid) {
        rows_value(&rows, "RSS after a quarter of the time", m->early_mb, "MiB");
        rows_ratio(&rows, "RSS at the end", m->late_mb, "MiB", m->early_mb > 0 ? m->late_mb / m->early_mb : 0,
                   "after a quarter");
        rows_value(&rows, "RSS at most", m->most_mb, "MiB");
    }
    if (l->locked.errors)
        fprintf(stderr, "bench_serve: %d requests failed, the first with: %s\n", l->locked.errors,
                l->locked.first_error);
}

/* ---- the whole ---- */

static bool prepare(struct load *l, const struct options *o, struct err *e)
{
    char model[256];
    struct http *h = http_new(e);
    bool ok = h && find_model(h, o, model, sizeof model, e);
    http_free(h);
    if (!ok)
        return false;
    l->o = o;
    snprintf(l->url, sizeof l->url, "http://%s:%d/v1/chat/completions", o->host, o->port);
    pthread_mutex_init(&l->locked.mutex, NULL);
    l->locked.answers = calloc(MAX_ANSWERS, sizeof *l->locked.answers);
    ok = l->locked.answers != NULL;
    for (int i = 0; i < KINDS; i++)
        ok = (l->bodies[i] = question_body(&kinds[i], model, o->max_tokens, true)) != NULL && ok;
    return ok || err_set(e, ERR_MEMORY, "no memory for the requests");
}

static bool run_clients(struct load *l, struct client *clients, struct err *e)
{
    const struct options *o = l->o;
    struct memory memory = {0};
    double start = clock_ms();
    int started = 0;
    l->end_ms = start + o->seconds * 1e3;
    for (; started < o->clients; started++) {
        clients[started] = (struct client){.load = l, .index = started};
        if (pthread_create(&clients[started].thread, NULL, run_client, &clients[started]) != 0)
            break;
    }
    bool ok = started == o->clients || err_set(e, ERR_MEMORY, "only %d threads can be had", started);
    if (ok)
        watch(o, &memory);
    for (int i = 0; i < started; i++)
        pthread_join(clients[i].thread, NULL);
    if (ok)
        report(l, clients, &memory, (clock_ms() - start) / 1e3);
    return ok && l->locked.errors == 0;
}

static bool parse(int argc, char **argv, struct options *o)
{
    *o = (struct options){.host = "127.0.0.1", .clients = 32, .seconds = 60, .max_tokens = 16};
    const struct option_row rows[] = {
        {"host", OPTION_TEXT, &o->host},         {"port", OPTION_NUMBER, &o->port},
        {"pid", OPTION_NUMBER, &o->pid},         {"clients", OPTION_NUMBER, &o->clients},
        {"seconds", OPTION_NUMBER, &o->seconds}, {"max-tokens", OPTION_NUMBER, &o->max_tokens},
    };
    return options_parse(argc, argv, rows, sizeof rows / sizeof *rows, NULL) && o->port > 0 &&
           o->clients <= MAX_CLIENTS && o->seconds <= MAX_SECONDS;
}

int main(int argc, char **argv)
{
    struct options o;
    struct err e = {0};
    struct load load = {0};
    if (!parse(argc, argv, &o)) {
        fputs(usage, stderr);
        return 2;
    }
    struct client *clients = calloc(MAX_CLIENTS, sizeof *clients);
    bool ok = clients && prepare(&load, &o, &e) && run_clients(&load, clients, &e);
    if (e.kind != ERR_NONE)
        fprintf(stderr, "bench_serve: %s\n", e.text);
    for (int i = 0; i < KINDS; i++)
        free(load.bodies[i]);
    free(load.locked.answers);
    free(clients);
    return ok ? 0 : 1;
}
