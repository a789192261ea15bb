#include "cmd/inventory_report.h"

#include "cmd/human.h"
#include "cmd/running_cost.h"
#include "cmd/service_report.h"
#include "cmd/table.h"
#include "cmd/wrap.h"
#include "plan/cost.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const kind_names[HOLDING_KINDS] = {
    [HOLDING_JOB] = "job", [HOLDING_VM] = "VM", [HOLDING_IMAGES] = "images", [HOLDING_BUCKET] = "bucket"};

/* A sum, and how many things are not in it. */
struct total {
    double month;
    int unknown;
};

static void add(struct total *t, double month)
{
    if (isnan(month))
        t->unknown++;
    else
        t->month += month;
}

static struct total total_of(const struct inventory *v, const struct prices *p)
{
    struct total t = {0};
    struct running_free used = {0};
    for (size_t i = 0; i < v->service_count; i++)
        add(&t, running_cost_service(p, &v->services[i]));
    for (size_t i = 0; i < v->holding_count; i++)
        add(&t, running_cost_holding(p, &used, &v->holdings[i]));
    return t;
}

/* --- the table --- */

/* "8.93 GB", "running: 8 tasks of 2 vCPU, 2 GiB", "e2-standard-4, stopped, 10 GB of disk". */
static void detail(const struct holding *h, char out[TABLE_CELL])
{
    char bytes[HUMAN_TEXT];
    human_bytes(h->bytes, bytes);
    if (h->kind == HOLDING_JOB && h->runs)
        snprintf(out, TABLE_CELL, "running: %lld task%s", (long long)h->count,
                 human_plural((uint64_t)h->count));
    else if (h->kind == HOLDING_JOB)
        snprintf(out, TABLE_CELL, "does not run");
    else if (h->kind == HOLDING_VM)
        snprintf(out, TABLE_CELL, "%.30s%s%s, %.0f GB", h->machine, h->spot ? ", spot" : "",
                 h->runs ? "" : ", stopped", h->disk_gb);
    else
        snprintf(out, TABLE_CELL, "%s", h->has_bytes ? bytes : "unknown");
}

static void fill_money(struct table_row *r, int column, double month)
{
    char text[RUNNING_COST_TEXT];
    snprintf(r->cells[column], TABLE_CELL, "%s", running_cost_text(month / PLAN_MONTH_HOURS, text));
    snprintf(r->cells[column + 1], TABLE_CELL, "%s", running_cost_text(month, text));
}

enum { MONEY_COLUMN = 4 };

static struct table_row row_of(const struct holding *h, double month)
{
    struct table_row r = {0};
    snprintf(r.cells[0], TABLE_CELL, "%s", h->name);
    snprintf(r.cells[1], TABLE_CELL, "%s", kind_names[h->kind]);
    snprintf(r.cells[2], TABLE_CELL, "%.60s", h->place);
    detail(h, r.cells[3]);
    fill_money(&r, MONEY_COLUMN, month);
    return r;
}

static struct table_row row_of_total(const struct total *t)
{
    struct table_row r = {.cells = {"all of it"}};
    fill_money(&r, MONEY_COLUMN, t->month);
    return r;
}

/* Twice: what is free is given out in the same order. */
static void each_row(const struct inventory *v, const struct prices *p, struct table *t, bool print)
{
    struct running_free used = {0};
    for (size_t i = 0; i < v->holding_count; i++) {
        struct table_row r = row_of(&v->holdings[i], running_cost_holding(p, &used, &v->holdings[i]));
        if (print)
            table_print(t, &r);
        else
            table_measure(t, &r);
    }
}

static void print_holdings(const struct inventory *v, const struct prices *p, const struct total *total)
{
    struct table t = table_new("NAME|WHAT|WHERE|HOLDS|>AN HOUR|>A MONTH");
    struct table_row last = row_of_total(total);
    each_row(v, p, &t, false);
    table_measure(&t, &last);
    table_head(&t);
    each_row(v, p, &t, true);
    table_print(&t, &last);
}

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    wrap_print(stdout, text, 0, 0, TABLE_WIDTH);
}

static void print_soft_delete(const struct inventory *v)
{
    for (size_t i = 0; i < v->holding_count; i++) {
        const struct holding *h = &v->holdings[i];
        if (h->kind == HOLDING_BUCKET && h->soft_delete_days > 0)
            note("gs://%s keeps what was deleted for %lld day%s, which costs, too, and is not counted here.",
                 h->name, (long long)h->soft_delete_days, human_plural((uint64_t)h->soft_delete_days));
    }
}

static bool has_cost(const struct inventory *v)
{
    for (size_t i = 0; i < v->service_count; i++)
        if (v->services[i].region)
            return true;
    return v->holding_count > 0;
}

static void print_notes(const struct inventory *v, const struct prices *p, const struct total *t)
{
    putchar('\n');
    if (t->unknown)
        note("What is unknown is not in the sum: the snapshot of prices, or the answer, does not say.");
    print_soft_delete(v);
    note("While nobody asks, by prices of %s, in US dollars without tax; a month has %.0f hours.",
         prices_date(p), PLAN_MONTH_HOURS);
}

void inventory_print(const struct inventory *v, const struct prices *p, int64_t now)
{
    struct total total = total_of(v, p);
    if (v->service_count == 0)
        puts("There are no services; `ferry deploy` makes one");
    else
        service_print_all(v->services, v->service_count, p, now);
    if (v->holding_count > 0) {
        putchar('\n');
        print_holdings(v, p, &total);
    }
    if (has_cost(v))
        print_notes(v, p, &total);
    fflush(stdout);
    for (size_t i = 0; i < v->unlisted_count; i++)
        fprintf(stderr, "not listed: %s: %s\n", v->unlisted[i].what, v->unlisted[i].why);
}

/* --- JSON --- */

static json_t *known(bool is, json_t *value)
{
    if (is)
        return value;
    json_decref(value);
    return json_null();
}

static json_t *usd(double n)
{
    return isnan(n) ? json_null() : json_real(n);
}

static json_t *holding_json(const struct holding *h, double month)
{
    bool stored = h->kind == HOLDING_IMAGES || h->kind == HOLDING_BUCKET;
    return json_pack("{s:s, s:s, s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:o}", "kind", kind_names[h->kind],
                     "name", h->name, "where", h->place, "runs", h->runs, "bytes",
                     known(stored && h->has_bytes, json_integer((json_int_t)h->bytes)), "count",
                     known(h->kind != HOLDING_VM, json_integer(h->count)), "machine",
                     known(*h->machine, json_string(h->machine)), "storage_class",
                     known(*h->storage_class, json_string(h->storage_class)), "usd_per_hour",
                     usd(month / PLAN_MONTH_HOURS), "usd_per_month", usd(month));
}

static json_t *services_json(const struct inventory *v, const struct prices *p)
{
    json_t *list = json_array();
    for (size_t i = 0; i < v->service_count; i++) {
        const struct target_service *s = &v->services[i];
        json_t *one = service_json(s);
        double month = running_cost_service(p, s);
        json_object_set_new(one, "usd_per_hour", usd(month / PLAN_MONTH_HOURS));
        json_object_set_new(one, "usd_per_month", usd(month));
        json_object_set_new(one, "usd_per_hour_answering", usd(running_cost_answering(p, s)));
        json_array_append_new(list, one);
    }
    return list;
}

static json_t *holdings_json(const struct inventory *v, const struct prices *p)
{
    struct running_free used = {0};
    json_t *list = json_array();
    for (size_t i = 0; i < v->holding_count; i++)
        json_array_append_new(list,
                              holding_json(&v->holdings[i], running_cost_holding(p, &used, &v->holdings[i])));
    return list;
}

json_t *inventory_json(const struct inventory *v, const struct prices *p)
{
    struct total t = total_of(v, p);
    json_t *unlisted = json_array();
    for (size_t i = 0; i < v->unlisted_count; i++)
        json_array_append_new(
            unlisted, json_pack("{s:s, s:s}", "what", v->unlisted[i].what, "why", v->unlisted[i].why));
    return json_pack("{s:o, s:s?, s:o, s:o, s:f, s:f, s:i, s:s}", "services", services_json(v, p), "project",
                     v->project, "holdings", holdings_json(v, p), "not_listed", unlisted, "usd_per_hour",
                     t.month / PLAN_MONTH_HOURS, "usd_per_month", t.month, "unknown_costs", t.unknown,
                     "prices_of", prices_date(p));
}
