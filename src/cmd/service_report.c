#include "cmd/service_report.h"

#include "cmd/human.h"
#include "cmd/terminal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static json_t *text_json(const char *text)
{
    json_t *json = text ? json_string(text) : NULL;
    return json ? json : json_null();
}

/* 0 or below: unknown. */
static json_t *known_json(int64_t n, bool known)
{
    return known ? json_integer((json_int_t)n) : json_null();
}

json_t *service_json(const struct target_service *s)
{
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name",
        text_json(s->name), "target", text_json(s->target), "region", text_json(s->region), "url",
        text_json(s->url), "model", text_json(s->model), "state", text_json(s->state), "since",
        known_json(s->since, s->since > 0), "problem", text_json(s->problem), "retry_seconds",
        known_json(s->retry_seconds, s->retry_seconds > 0), "requests",
        known_json(s->requests, s->requests >= 0), "in_flight", known_json(s->in_flight, s->requests >= 0),
        "memory_bytes", known_json((int64_t)s->memory_bytes, s->memory_bytes > 0), "memory_limit_bytes",
        known_json((int64_t)s->memory_limit_bytes, s->memory_limit_bytes > 0), "memory_note",
        text_json(s->memory_note), "idle_seconds", json_real(s->idle_seconds), "config", text_json(s->config),
        "pid", known_json(s->pid, s->pid > 0));
}

bool service_print_json(json_t *json, struct err *e)
{
    char *text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;
    bool ok = text || err_set(e, ERR_MEMORY, "no memory for the result");
    if (ok)
        puts(text);
    free(text);
    json_decref(json);
    return ok;
}

const char *service_state(const struct target_service *s, int64_t now, char out[SERVICE_STATE])
{
    char time[HUMAN_TEXT];
    if (s->retry_seconds > 0)
        snprintf(out, SERVICE_STATE, "%s, next try in %s", s->state,
                 human_seconds((double)s->retry_seconds, time));
    else if (s->since > 0)
        snprintf(out, SERVICE_STATE, "%s for %s", s->state, human_seconds((double)(now - s->since), time));
    else
        snprintf(out, SERVICE_STATE, "%s", s->state ? s->state : "unknown");
    return out;
}

/* --- the table --- */

enum { COLUMNS = 7, CELL = 200 };

struct row {
    char cells[COLUMNS][CELL];
};

static const char *or_dash(const char *text)
{
    return text && *text ? text : "-";
}

static void memory_cell(const struct target_service *s, char out[CELL])
{
    char used[HUMAN_TEXT], limit[HUMAN_TEXT];
    human_bytes(s->memory_bytes, used);
    human_bytes(s->memory_limit_bytes, limit);
    snprintf(out, CELL, "%s%s%s", s->memory_bytes ? used : "-", s->memory_limit_bytes ? " of " : "",
             s->memory_limit_bytes ? limit : "");
}

static void fill_row(struct row *r, const struct target_service *s, int64_t now)
{
    char state[SERVICE_STATE];
    snprintf(r->cells[0], CELL, "%s", s->name);
    snprintf(r->cells[1], CELL, "%s", s->target);
    snprintf(r->cells[2], CELL, "%s", service_state(s, now, state));
    snprintf(r->cells[3], CELL, "%s", or_dash(s->url));
    if (s->requests >= 0)
        snprintf(r->cells[4], CELL, "%lld", (long long)s->requests);
    else
        snprintf(r->cells[4], CELL, "-");
    memory_cell(s, r->cells[5]);
    snprintf(r->cells[6], CELL, "%s", or_dash(s->model));
}

static void print_row(const struct row *r, const int widths[COLUMNS])
{
    for (int i = 0; i < COLUMNS; i++)
        printf("%s%-*s", i ? "  " : "", i + 1 < COLUMNS ? widths[i] : 0, r->cells[i]);
    putchar('\n');
}

static void print_problems(const struct target_service *s)
{
    const char *texts[] = {s->problem, s->memory_note};
    for (size_t i = 0; i < 2; i++)
        if (texts[i])
            printf("  %s%s%s\n", terminal_style(STDOUT_FILENO, i ? STYLE_PLAIN : STYLE_RED), texts[i],
                   terminal_style(STDOUT_FILENO, STYLE_PLAIN));
}

void service_print_all(const struct target_service *s, size_t count, int64_t now)
{
    struct row head = {{"NAME", "TARGET", "STATE", "URL", "REQUESTS", "MEMORY", "MODEL"}}, row;
    int widths[COLUMNS] = {0};
    for (size_t i = 0; i <= count; i++) {
        if (i < count)
            fill_row(&row, &s[i], now);
        for (int k = 0; k < COLUMNS; k++) {
            int n = (int)strlen(i < count ? row.cells[k] : head.cells[k]);
            widths[k] = n > widths[k] ? n : widths[k];
        }
    }
    print_row(&head, widths);
    for (size_t i = 0; i < count; i++) {
        fill_row(&row, &s[i], now);
        print_row(&row, widths);
        print_problems(&s[i]);
    }
}
