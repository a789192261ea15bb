#include "cmd/progress_line.h"

#include "base/utf8.h"
#include "cmd/human.h"

#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

enum {
    BAR_COLUMNS = 16,
    SIZE_COLUMNS = 28, /* "  3.91 GB of 16.8 GB  100 % " */
    BAR_FROM = 64,     /* terminals narrower than this have no bars */
    MIN_COLUMNS = 20,
};

void rate_add(struct rate *r, double ms, uint64_t bytes)
{
    int last = (r->first + r->count - 1) % RATE_SAMPLES;
    if (r->count && ms - r->samples[last].ms < RATE_STEP_MS)
        return;
    if (r->count == RATE_SAMPLES)
        r->first = (r->first + 1) % RATE_SAMPLES, r->count--;
    last = (r->first + r->count++) % RATE_SAMPLES;
    r->samples[last].ms = ms;
    r->samples[last].bytes = bytes;
    while (r->count > 2 && ms - r->samples[r->first].ms > RATE_WINDOW_MS)
        r->first = (r->first + 1) % RATE_SAMPLES, r->count--;
}

double rate_per_second(const struct rate *r)
{
    if (r->count < 2)
        return 0;
    int last = (r->first + r->count - 1) % RATE_SAMPLES;
    double ms = r->samples[last].ms - r->samples[r->first].ms;
    uint64_t bytes = r->samples[last].bytes - r->samples[r->first].bytes;
    return ms > 0 ? (double)bytes * 1000 / ms : 0;
}

int percent_of(uint64_t done, uint64_t total)
{
    if (done >= total)
        return 100;
    double percent = (double)done * 100 / (double)total;
    return percent < 99 ? (int)percent : 99;
}

/* One character at *text, which moves behind it: its columns, and where its bytes are (NULL: show "?"). */
static int take_character(const char **text, const char **bytes, int *size)
{
    int n = utf8_length(*text);
    utf8proc_int32_t c = -1;
    if (n)
        utf8proc_iterate((const utf8proc_uint8_t *)*text, n, &c);
    bool control = c < 0x20 || (c >= 0x7f && c < 0xa0) || utf8proc_category(c) == UTF8PROC_CATEGORY_CF;
    *bytes = control ? NULL : *text;
    *size = n;
    *text += n ? n : 1;
    return control ? 1 : utf8proc_charwidth(c);
}

static int columns_of(const char *text)
{
    const char *bytes;
    int size, columns = 0;
    while (*text)
        columns += take_character(&text, &bytes, &size);
    return columns;
}

char *fit_columns(char *out, size_t room, const char *text, int columns)
{
    const char *bytes;
    int size, used = 0, have = columns_of(text);
    char *end = out + room - (size_t)columns - 8; /* room for the spaces is kept */

    if (have > columns) {
        while (*text && have > columns - 1)
            have -= take_character(&text, &bytes, &size);
        out = stpcpy(out, "…");
        used = 1;
    }
    while (*text && out < end) {
        used += take_character(&text, &bytes, &size);
        if (bytes)
            out = mempcpy(out, bytes, (size_t)size);
        else
            *out++ = '?';
    }
    for (; used < columns; used++)
        *out++ = ' ';
    *out = 0;
    return out;
}

/* Bytes behind what is written so far. */
struct text {
    char *at, *end;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->at, (size_t)(t->end - t->at), format, args);
    va_end(args);
    if (n > 0)
        t->at += n < t->end - t->at ? n : t->end - t->at - 1;
}

static void put_bar(struct text *t, const struct progress_view *v, int percent)
{
    int full = percent * BAR_COLUMNS / 100;
    put(t, " %s", v->bold);
    for (int i = 0; i < BAR_COLUMNS; i++) {
        if (i == full)
            put(t, "%s%s", v->plain, v->dim);
        put(t, i < full ? "━" : "─");
    }
    put(t, "%s", v->plain);
}

static int usable(const struct progress_view *v)
{
    int columns = v->width - 1;
    return columns < MIN_COLUMNS ? MIN_COLUMNS : columns > 140 ? 140 : columns;
}

static void put_name(struct text *t, const char *name, int columns)
{
    enum { MOST = 1024 };
    if (t->end - t->at > MOST)
        t->at = fit_columns(t->at, MOST, name, columns);
}

static void put_flight(struct text *t, const struct progress_view *v, int i)
{
    char done[HUMAN_TEXT], size[HUMAN_TEXT], sizes[80];
    int columns = usable(v), percent = percent_of(v->p->flight[i].done, v->p->flight[i].size);
    bool bar = columns >= BAR_FROM, both = columns >= SIZE_COLUMNS + 12;
    int rest = (both ? SIZE_COLUMNS : 6) + (bar ? BAR_COLUMNS + 1 : 0);

    put_name(t, v->p->flight[i].name ? v->p->flight[i].name : "", columns - rest);
    snprintf(sizes, sizeof sizes, " %8s of %-8s", human_bytes(v->p->flight[i].done, done),
             human_bytes(v->p->flight[i].size, size));
    if (both)
        put(t, "%s", sizes);
    put(t, " %3d %%", percent);
    if (both)
        put(t, " ");
    if (bar)
        put_bar(t, v, percent);
    put(t, "\n");
}

/* The pieces of the total, most telling first: as many as fit. */
static void put_total(struct text *t, const struct progress_view *v)
{
    const struct transfer_progress *p = v->p;
    char done[HUMAN_TEXT], total[HUMAN_TEXT], rate[HUMAN_TEXT], left[HUMAN_TEXT], pieces[5][80];
    int columns = usable(v), used = 5, count = 0;
    uint64_t missing = p->bytes_total > p->bytes_done ? p->bytes_total - p->bytes_done : 0;

    snprintf(pieces[count++], sizeof *pieces, "%d %%", percent_of(p->bytes_done, p->bytes_total));
    snprintf(pieces[count++], sizeof *pieces, "%s of %s", human_bytes(p->bytes_done, done),
             human_bytes(p->bytes_total, total));
    if (v->bytes_per_second >= 1)
        snprintf(pieces[count++], sizeof *pieces, "%s/s", human_bytes((uint64_t)v->bytes_per_second, rate));
    if (v->stopping)
        snprintf(pieces[count++], sizeof *pieces, "stopping …");
    else if (v->bytes_per_second >= 1)
        snprintf(pieces[count++], sizeof *pieces, "%s left",
                 human_seconds((double)missing / v->bytes_per_second, left));
    snprintf(pieces[count++], sizeof *pieces, "%d of %d file%s", p->files_done + p->files_skipped,
             p->files_total, human_plural((uint64_t)p->files_total));

    put(t, "%stotal%s", v->bold, v->plain);
    for (int i = 0; i < count; i++) {
        used += 3 + columns_of(pieces[i]);
        if (used <= columns)
            put(t, "   %s", pieces[i]);
    }
    put(t, "\n");
}

int progress_frame(const struct progress_view *v, char out[PROGRESS_FRAME_BYTES])
{
    struct text t = {out, out + PROGRESS_FRAME_BYTES};
    int room = v->height - 3, shown = v->p->running; /* the prompt's line and a hint stay in sight */
    int most = (int)(sizeof v->p->flight / sizeof *v->p->flight);

    if (shown > most)
        shown = most;
    if (shown > room)
        shown = room > 0 ? room : 0;
    *out = 0;
    for (int i = 0; i < shown; i++)
        put_flight(&t, v, i);
    put_total(&t, v);
    return shown + 1;
}
