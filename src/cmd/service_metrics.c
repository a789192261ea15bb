#include "cmd/service_metrics.h"

#include "cmd/service_client.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PAGE = 1 << 20 };

static const struct {
    const char *name;
    size_t offset;
} fields[] = {
    {"process_start_time_seconds", offsetof(struct service_metrics, began_s)},
    {"ferry_ready", offsetof(struct service_metrics, ready)},
    {"ferry_requests_running", offsetof(struct service_metrics, running)},
    {"ferry_requests_waiting", offsetof(struct service_metrics, waiting)},
    {"ferry_slots", offsetof(struct service_metrics, slots)},
    {"ferry_requests_total", offsetof(struct service_metrics, requests)},
    {"ferry_prompt_tokens_total", offsetof(struct service_metrics, prompt_tokens)},
    {"ferry_completion_tokens_total", offsetof(struct service_metrics, completion_tokens)},
    {"ferry_time_to_first_token_seconds_sum", offsetof(struct service_metrics, first_token_seconds)},
    {"ferry_time_to_first_token_seconds_count", offsetof(struct service_metrics, first_tokens)},
    {"process_resident_memory_bytes", offsetof(struct service_metrics, resident_bytes)},
    {"ferry_load_bytes", offsetof(struct service_metrics, load_bytes)},
    {"ferry_load_total_bytes", offsetof(struct service_metrics, load_total_bytes)},
    {"ferry_load_bytes_per_second", offsetof(struct service_metrics, load_bytes_per_second)},
    {"ferry_load_first_token_seconds", offsetof(struct service_metrics, load_first_token_seconds)},
};
enum { FIELDS = sizeof fields / sizeof *fields };

static double *field(struct service_metrics *m, size_t i)
{
    return (double *)((char *)m + fields[i].offset);
}

/* The value behind a name's labels, which are quoted and may contain anything, escaped. NULL: none. */
static const char *behind_labels(const char *at)
{
    if (*at != '{')
        return at;
    for (bool quoted = false; *++at && *at != '\n';) {
        if (*at == '\\' && quoted && at[1] && at[1] != '\n')
            at++;
        else if (*at == '"')
            quoted = !quoted;
        else if (*at == '}' && !quoted)
            return at + 1;
    }
    return NULL;
}

static void take_line(const char *line, struct service_metrics *out)
{
    size_t n = strcspn(line, "{ \t\n");
    const char *at = behind_labels(line + n);
    for (size_t i = 0; at && i < FIELDS; i++) {
        char *end;
        if (strncmp(fields[i].name, line, n) != 0 || fields[i].name[n])
            continue;
        at += strspn(at, " \t");
        double value = *at == '\n' ? NAN : strtod(at, &end);
        double sum = isnan(*field(out, i)) ? value : *field(out, i) + value;
        if (isfinite(sum) && end != at)
            *field(out, i) = sum;
        return;
    }
}

void service_metrics_parse(const char *page, struct service_metrics *out)
{
    for (size_t i = 0; i < FIELDS; i++)
        *field(out, i) = NAN;
    for (const char *line = page; *line;) {
        if (*line != '#')
            take_line(line, out);
        line += strcspn(line, "\n");
        line += *line == '\n';
    }
}

bool service_metrics_get(struct http *h, const struct http_request *q, struct arena *a, const char *base,
                         struct service_metrics *out, struct err *e)
{
    struct http_request get = *q;
    struct http_reply r;
    struct err problem = {0};
    char *page = malloc(MAX_PAGE + 1);

    get.method = "GET";
    get.url = service_page(a, base, "metrics");
    get.into = page;
    get.into_room = MAX_PAGE;
    if (!page || !get.url) {
        free(page);
        return err_set(e, ERR_MEMORY, "no memory for the service's metrics");
    }
    bool ok = service_send(h, &get, &r, &problem);
    page[ok ? r.size : 0] = 0;
    service_metrics_parse(page, out);
    free(page);
    if (!ok && problem.kind != ERR_NOT_FOUND)
        *e = problem;
    return ok || problem.kind == ERR_NOT_FOUND;
}
