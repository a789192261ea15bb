/* watch_draw.c: a look at a service, as text and as JSON. */
#include "cmd/watch.h"

#include "cmd/human.h"
#include "cmd/service_client.h"
#include "cmd/service_report.h"
#include "plan/cost.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { BAR = 14, LINE = 600 };

void watched_take(struct watched *w, const struct service_metrics *m, double now_ms)
{
    bool same = w->known && m->began_s == w->now.began_s;
    double before = same ? w->now.completion_tokens : 0;
    double speed = w->looked_ms > 0 ? (m->completion_tokens - before) * 1e3 / (now_ms - w->looked_ms) : NAN;
    w->known = !isnan(m->ready);
    w->now = *m;
    w->looked_ms = now_ms;
    w->tokens_per_second = speed;
    if (w->looks == WATCH_HISTORY)
        memmove(w->history, w->history + 1, (WATCH_HISTORY - 1) * sizeof *w->history);
    w->looks += w->looks < WATCH_HISTORY;
    w->history[w->looks - 1] = isnan(speed) ? 0 : speed;
}

double watched_cost(const struct watched *w, const struct prices *p, const char *region, double now_s)
{
    uint64_t limit = w->service.memory_limit_bytes;
    double bytes = limit ? (double)limit * 100 / (100 + RUN_MARGIN_PERCENT) : w->now.resident_bytes;
    if (!w->known || isnan(w->now.began_s) || !(bytes > 0))
        return NAN;
    struct cost_load l = {.shape = run_shape_for((uint64_t)bytes, 0), .tier = prices_tier(p, region)};
    double hours = fmax(now_s - w->now.began_s, 0) / 3600;
    return l.shape.vcpu ? cost_hour(p, &l, COST_SCALE_TO_ZERO) * hours : NAN;
}

/* --- JSON --- */

static json_t *number(double n)
{
    return isfinite(n) ? json_real(n) : json_null();
}

json_t *watched_json(const struct watched *w)
{
    const struct service_metrics *m = &w->now;
    json_t *all = w->service.name ? service_json(&w->service) : json_pack("{s:s}", "url", w->service.url);
    json_t *told = json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "ready",
        w->known ? json_boolean(m->ready == 1) : json_null(), "load_bytes", number(m->load_bytes),
        "load_total_bytes", number(m->load_total_bytes), "running", number(m->running), "waiting",
        number(m->waiting), "slots", number(m->slots), "completion_tokens", number(m->completion_tokens),
        "tokens_per_second", number(w->tokens_per_second), "resident_bytes", number(m->resident_bytes),
        "began", number(m->began_s), "usd_at_most", number(w->usd));
    json_object_update(all, told);
    json_decref(told);
    if (*w->problem)
        json_object_set_new(all, "problem", json_string(w->problem));
    return all;
}

/* --- text --- */

struct drawing {
    int width, lines;
    const char *end;
    FILE *out;
};

/* Cut to the width; characters are one column wide here, and control characters are none. */
__attribute__((format(printf, 2, 3))) static void line(struct drawing *d, const char *format, ...)
{
    char text[LINE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    int columns = 0;
    for (const char *at = text; *at; at++) {
        bool begins = ((unsigned char)*at & 0xc0) != 0x80;
        if (begins && ++columns > d->width)
            break;
        fputc((unsigned char)*at < 0x20 || *at == 0x7f ? ' ' : *at, d->out);
    }
    fputs(d->end, d->out);
    d->lines++;
}

static void bar(double part, char out[BAR * 3 + 1])
{
    int full = (int)lround(fmin(fmax(part, 0), 1) * BAR);
    *out = 0;
    for (int i = 0; i < BAR; i++)
        strcat(out, i < full ? "\u2588" : "\u2591");
}

static void draw_load(struct drawing *d, const struct service_metrics *m)
{
    char picture[BAR * 3 + 1], all[HUMAN_TEXT], speed[HUMAN_TEXT], token[HUMAN_TEXT];
    double part = m->load_total_bytes > 0 ? m->load_bytes / m->load_total_bytes : m->ready;
    bar(part, picture);
    if (!(m->load_total_bytes > 0)) {
        line(d, "  load      %s %s", picture, m->ready == 1 ? "loaded" : "loading");
        return;
    }
    human_bytes((uint64_t)m->load_total_bytes, all);
    if (m->ready == 1) {
        line(d, "  load      %s loaded, %s", picture, all);
        return;
    }
    human_bytes((uint64_t)fmax(m->load_bytes_per_second, 0), speed);
    human_seconds(m->load_first_token_seconds, token);
    line(d, "  load      %s %2.0f %% of %s, %s/s%s%s", picture, floor(part * 100), all, speed,
         m->load_first_token_seconds > 0 ? "; first token in " : "",
         m->load_first_token_seconds > 0 ? token : "");
}

static void draw_slots(struct drawing *d, const struct service_metrics *m)
{
    char picture[BAR * 3 + 1];
    if (isnan(m->slots) || m->slots < 1) {
        line(d, "  slots     %.0f waiting", fmax(m->waiting, 0));
        return;
    }
    bar(m->running / m->slots, picture);
    line(d, "  slots     %s %.0f of %.0f busy, %.0f waiting", picture, fmax(m->running, 0), m->slots,
         fmax(m->waiting, 0));
}

static void draw_tokens(struct drawing *d, const struct watched *w)
{
    static const char *const heights[] = {"\u2581", "\u2582", "\u2583", "\u2584",
                                          "\u2585", "\u2586", "\u2587", "\u2588"};
    char picture[WATCH_HISTORY * 3 + 1] = "";
    double most = 1e-9;
    for (int i = 0; i < w->looks; i++)
        most = fmax(most, w->history[i]);
    for (int i = w->looks > BAR ? w->looks - BAR : 0; i < w->looks; i++)
        strcat(picture, heights[(int)fmin(fmax(w->history[i] / most * 7.999, 0), 7)]);
    line(d, "  tokens/s  %s%*s %.1f, %.0f since it began, in %.0f answers", picture,
         w->looks < BAR ? BAR - w->looks : 0, "", isnan(w->tokens_per_second) ? 0 : w->tokens_per_second,
         fmax(w->now.completion_tokens, 0), fmax(w->now.first_tokens, 0));
}

static void draw_memory(struct drawing *d, const struct watched *w)
{
    char picture[BAR * 3 + 1], used[HUMAN_TEXT], limit[HUMAN_TEXT];
    uint64_t most = w->service.memory_limit_bytes;
    human_bytes((uint64_t)fmax(w->now.resident_bytes, 0), used);
    bar(most ? w->now.resident_bytes / (double)most : 0, picture);
    if (most)
        line(d, "  memory    %s %s of %s", picture, used, human_bytes(most, limit));
    else
        line(d, "  memory    %s", used);
}

static void draw_cost(struct drawing *d, const struct watched *w)
{
    if (isnan(w->usd))
        line(d, "  cost      unknown");
    else
        line(d, "  cost      at most $%.4f since it began, were it on Cloud Run", w->usd);
}

int watched_draw(const struct watched *w, double now_s, int width, const char *end, FILE *out)
{
    struct drawing d = {.width = width, .end = end, .out = out};
    const struct target_service *s = &w->service;
    char state[SERVICE_STATE] = "";
    if (s->name)
        service_state(s, (int64_t)now_s, state);
    line(&d, "%s%s%s  %s", s->name ? s->name : "", s->name ? "  " : "", s->url ? s->url : "", state);
    if (w->known) {
        draw_load(&d, &w->now);
        draw_slots(&d, &w->now);
        draw_tokens(&d, w);
        draw_memory(&d, w);
        draw_cost(&d, w);
    }
    if (*w->problem || s->problem)
        line(&d, "  %s", *w->problem ? w->problem : s->problem);
    return d.lines;
}
