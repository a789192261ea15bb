#include "cmd/service_report.h"

#include "cmd/human.h"
#include "cmd/running_cost.h"
#include "cmd/table.h"
#include "cmd/terminal.h"
#include "cmd/wrap.h"
#include "plan/cost.h"

#include <math.h>
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

enum { INDENT = 2 };

static void memory_cell(const struct target_service *s, char out[TABLE_CELL])
{
    char used[HUMAN_TEXT], limit[HUMAN_TEXT];
    human_bytes(s->memory_bytes, used);
    human_bytes(s->memory_limit_bytes, limit);
    snprintf(out, TABLE_CELL, "%s%s%s", s->memory_bytes ? used : "-", s->memory_limit_bytes ? " of " : "",
             s->memory_limit_bytes ? limit : "");
}

/* What runs here costs nothing at Google. */
static void money_cells(const struct target_service *s, const struct prices *p, struct table_row *r)
{
    char text[RUNNING_COST_TEXT];
    double month = running_cost_service(p, s);
    snprintf(r->cells[5], TABLE_CELL, "%s",
             s->region ? running_cost_text(month / PLAN_MONTH_HOURS, text) : "-");
    snprintf(r->cells[6], TABLE_CELL, "%s", s->region ? running_cost_text(month, text) : "-");
}

static struct table_row row_of(const struct target_service *s, const struct prices *p, int64_t now)
{
    struct table_row r = {0};
    char state[SERVICE_STATE];
    snprintf(r.cells[0], TABLE_CELL, "%s", s->name);
    snprintf(r.cells[1], TABLE_CELL, "%s", s->target);
    snprintf(r.cells[2], TABLE_CELL, "%s", service_state(s, now, state));
    if (s->requests >= 0)
        snprintf(r.cells[3], TABLE_CELL, "%lld", (long long)s->requests);
    else
        snprintf(r.cells[3], TABLE_CELL, "-");
    memory_cell(s, r.cells[4]);
    money_cells(s, p, &r);
    return r;
}

/* Addresses are not broken; two that do not go into one line stand below each other. */
static void print_places(const struct target_service *s)
{
    const char *url = s->url ? s->url : "", *model = s->model ? s->model : "";
    bool both = *url && *model, fits = INDENT + strlen(url) + 2 + strlen(model) <= TABLE_WIDTH;
    if (*url)
        printf("%*s%s", INDENT, "", url);
    if (both)
        printf(fits ? "  " : "\n  ");
    else if (*model)
        printf("%*s", INDENT, "");
    if (*url || *model)
        puts(model);
}

static void print_answering(const struct target_service *s, const struct prices *p)
{
    char text[RUNNING_COST_TEXT];
    double hour = running_cost_answering(p, s);
    if (!isnan(hour))
        printf("%*san instance costs %s an hour while it %s\n", INDENT, "", running_cost_text(hour, text),
               s->cpu_always ? "is there" : "answers");
}

static void print_problems(const struct target_service *s)
{
    const char *texts[] = {s->problem, s->memory_note};
    for (size_t i = 0; i < 2; i++)
        if (texts[i]) {
            printf("%*s%s", INDENT, "", terminal_style(STDOUT_FILENO, i ? STYLE_PLAIN : STYLE_RED));
            wrap_print(stdout, texts[i], INDENT, INDENT, TABLE_WIDTH);
            printf("%s", terminal_style(STDOUT_FILENO, STYLE_PLAIN));
        }
}

void service_print_all(const struct target_service *s, size_t count, const struct prices *p, int64_t now)
{
    struct table t = table_new("NAME|TARGET|STATE|REQUESTS|MEMORY|>AN HOUR|>A MONTH");
    for (size_t i = 0; i < count; i++) {
        struct table_row row = row_of(&s[i], p, now);
        table_measure(&t, &row);
    }
    table_head(&t);
    for (size_t i = 0; i < count; i++) {
        struct table_row row = row_of(&s[i], p, now);
        table_print(&t, &row);
        print_places(&s[i]);
        print_answering(&s[i], p);
        print_problems(&s[i]);
    }
}
