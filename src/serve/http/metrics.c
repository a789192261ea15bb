#include "serve/http/metrics.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAX_SERIES = 256, BUCKETS = 12, PAGE_BYTES = 1 << 20 };

/* Seconds: from a tiny model's first token to a long answer of a large one on few cores. */
static const double bounds[BUCKETS] = {0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300};

struct histogram {
    uint64_t counts[BUCKETS + 1];
    double sum;
};

struct series {
    const char *route;
    int status;
    uint64_t count;
};

struct metrics {
    double began_s; /* since 1970 */
    pthread_mutex_t mutex;
    struct series requests[MAX_SERIES]; /* at most routes x statuses: far fewer */
    int request_count;
    uint64_t prompt_tokens, completion_tokens;
    struct histogram first_token, duration;
};

struct metrics *metrics_new(void)
{
    struct metrics *m = calloc(1, sizeof *m);
    struct timespec now;
    if (!m)
        return NULL;
    clock_gettime(CLOCK_REALTIME, &now);
    m->began_s = (double)now.tv_sec + (double)(now.tv_nsec / 1000000) * 1e-3;
    pthread_mutex_init(&m->mutex, NULL);
    return m;
}

void metrics_free(struct metrics *m)
{
    if (m)
        pthread_mutex_destroy(&m->mutex);
    free(m);
}

static void observe(struct histogram *h, double seconds)
{
    int i = 0;
    while (i < BUCKETS && seconds > bounds[i])
        i++;
    h->counts[i]++;
    h->sum += seconds;
}

static void count_request(struct metrics *m, const char *route, int status)
{
    int i = 0;
    while (i < m->request_count &&
           (m->requests[i].status != status || strcmp(m->requests[i].route, route) != 0))
        i++;
    if (i == MAX_SERIES)
        return;
    if (i == m->request_count)
        m->requests[m->request_count++] = (struct series){.route = route, .status = status};
    m->requests[i].count++;
}

void metrics_request(struct metrics *m, const char *route, int status, double seconds,
                     const struct generation_stats *s)
{
    pthread_mutex_lock(&m->mutex);
    count_request(m, route, status);
    observe(&m->duration, seconds);
    m->prompt_tokens += (uint64_t)s->prompt_tokens;
    m->completion_tokens += (uint64_t)s->completion_tokens;
    if (s->first_token_ms > 0)
        observe(&m->first_token, s->first_token_ms * 1e-3);
    pthread_mutex_unlock(&m->mutex);
}

struct page {
    struct bytes *out;
    bool ok;
};

__attribute__((format(printf, 2, 3))) static void line(struct page *p, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    p->ok = p->ok && n > 0 && (size_t)n < sizeof text && bytes_add(p->out, text, (size_t)n, PAGE_BYTES);
}

static void head(struct page *p, const char *name, const char *type, const char *help)
{
    line(p, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void number(struct page *p, const char *name, const char *type, const char *help, double value)
{
    head(p, name, type, help);
    line(p, "%s %.15g\n", name, value);
}

static void histogram(struct page *p, const char *name, const char *help, const struct histogram *h)
{
    uint64_t below = 0;
    head(p, name, "histogram", help);
    for (int i = 0; i < BUCKETS; i++) {
        below += h->counts[i];
        line(p, "%s_bucket{le=\"%g\"} %llu\n", name, bounds[i], (unsigned long long)below);
    }
    below += h->counts[BUCKETS];
    line(p, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum %.9g\n%s_count %llu\n", name, (unsigned long long)below,
         name, h->sum, name, (unsigned long long)below);
}

static double resident_bytes(void)
{
    unsigned long all = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%lu %lu", &all, &resident) != 2)
        resident = 0;
    if (f)
        fclose(f);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static void requests_locked(struct page *p, const struct metrics *m)
{
    head(p, "ferry_requests_total", "counter", "Finished requests.");
    for (int i = 0; i < m->request_count; i++)
        line(p, "ferry_requests_total{route=\"%s\",status=\"%d\"} %llu\n", m->requests[i].route,
             m->requests[i].status, (unsigned long long)m->requests[i].count);
}

/* Generations are written whole; a double would round them. */
static void whole(struct page *p, const char *name, const char *type, const char *help, int64_t value)
{
    head(p, name, type, help);
    line(p, "%s %lld\n", name, (long long)value);
}

static void configuration(struct page *p, const struct live_status *s)
{
    whole(p, "ferry_config_generation", "gauge", "Generation of the configuration in force, 0: defaults.",
          s->good);
    whole(p, "ferry_config_rejected_generation", "gauge", "Generation of the last one refused, 0: none.",
          s->bad);
    whole(p, "ferry_config_rejected", "gauge", "1 when what lies there now is refused.", s->bad_stands);
    whole(p, "ferry_config_rejected_total", "counter", "Configurations refused.", (int64_t)s->rejected);
    whole(p, "ferry_config_check_failures_total", "counter", "Looks at the configuration that told nothing.",
          (int64_t)s->failed);
}

static void load(struct page *p, struct arrival *a)
{
    struct arrival_progress now;
    arrival_progress(a, &now);
    number(p, "ferry_load_bytes", "gauge", "Bytes of the weights that are there.", (double)now.bytes);
    number(p, "ferry_load_total_bytes", "gauge", "Bytes of all weights, 0: not known yet.",
           (double)now.total);
    number(p, "ferry_load_bytes_per_second", "gauge", "How fast they came lately.", now.bytes_per_second);
    number(p, "ferry_load_seconds", "gauge", "Since the start, until all were there.", now.elapsed_ms * 1e-3);
    if (now.first_token_ms >= 0)
        number(p, "ferry_load_first_token_seconds", "gauge", "Until an answer can begin, predicted.",
               now.first_token_ms * 1e-3);
    head(p, "ferry_load_phase_seconds", "gauge", "What the time of the load went into.");
    for (int i = 0; i < PHASE_COUNT; i++)
        line(p, "ferry_load_phase_seconds{phase=\"%s\"} %.15g\n", load_phase_name((enum load_phase)i),
             now.phase_ms[i] * 1e-3);
}

bool metrics_write(struct metrics *m, const struct metrics_now *now, struct bytes *out)
{
    struct page p = {.out = out, .ok = true};
    head(&p, "ferry_build_info", "gauge", "What runs.");
    line(&p, "ferry_build_info{version=\"%s\",math=\"%s\",cpu=\"%s\"} 1\n", now->version, now->math,
         now->cpu);
    number(&p, "ferry_ready", "gauge", "1 when the model is loaded.", now->ready);
    number(&p, "ferry_requests_waiting", "gauge", "Requests that wait for a session.", now->load.waiting);
    number(&p, "ferry_requests_running", "gauge", "Requests that have one.", now->load.running);
    if (now->slots)
        number(&p, "ferry_slots", "gauge", "Requests that can have a session at a time.", now->slots);
    number(&p, "ferry_connections", "gauge", "Open connections.", now->connections);
    number(&p, "ferry_body_bytes", "gauge", "Request bodies in memory.", (double)now->body_bytes);
    if (now->config)
        configuration(&p, now->config);
    if (now->arrival)
        load(&p, now->arrival);
    number(&p, "process_start_time_seconds", "gauge", "When the service began, since 1970.", m->began_s);
    number(&p, "process_resident_memory_bytes", "gauge", "Resident memory.", resident_bytes());
    pthread_mutex_lock(&m->mutex);
    requests_locked(&p, m);
    number(&p, "ferry_prompt_tokens_total", "counter", "Tokens of prompts, audio included.",
           (double)m->prompt_tokens);
    number(&p, "ferry_completion_tokens_total", "counter", "Tokens generated.", (double)m->completion_tokens);
    histogram(&p, "ferry_time_to_first_token_seconds", "From submission to the first token.",
              &m->first_token);
    histogram(&p, "ferry_request_duration_seconds", "From the request's head to the last byte.",
              &m->duration);
    pthread_mutex_unlock(&m->mutex);
    return p.ok;
}
