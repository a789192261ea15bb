#include "cmd/doctor_print.h"

#include "base/catalog.h"
#include "cmd/terminal.h"
#include "cmd/wrap.h"
#include "doctor/judge.h"

#include <math.h>
#include <string.h>

enum { WIDTH = 100, INDENT = 4, DEEPER = 8 };

const char *severity_name(enum severity s)
{
    static const char *const names[] = {"fine", "note", "warning", "problem"};
    return names[s];
}

const char *certainty_name(enum certainty c)
{
    static const char *const names[] = {"certain", "likely", "unknown"};
    return names[c];
}

/* --- for people --- */

struct print {
    const struct findings *f;
    FILE *out;
    int fd;
};

static const char *sign(enum severity s)
{
    static const char *const signs[] = {N_("ok"), N_("note"), N_("warning"), N_("PROBLEM")};
    return tr(signs[s]);
}

static enum style style_of(enum severity s)
{
    return s == SEVERITY_PROBLEM ? STYLE_RED : s == SEVERITY_WARNING ? STYLE_BOLD : STYLE_PLAIN;
}

/* "    Next: text", the text's lines below each other. */
static void labelled(const struct print *p, const char *label, const char *text)
{
    int at = INDENT + text_width(label, strlen(label)) + 1;
    fprintf(p->out, "%*s%s%s%s ", INDENT, "", terminal_style(p->fd, STYLE_DIM), label,
            terminal_style(p->fd, STYLE_PLAIN));
    wrap_print(p->out, text, at, DEEPER, WIDTH);
}

static void print_candidates(const struct print *p, const struct finding *x)
{
    if (x->candidate_count)
        fprintf(p->out, "%*s%s\n", INDENT, "", _("What it can be, and how to tell:"));
    for (int i = 0; i < x->candidate_count; i++) {
        fprintf(p->out, "%*s- ", INDENT + 2, "");
        wrap_print(p->out, x->candidates[i].cause, DEEPER, DEEPER, WIDTH);
        fprintf(p->out, "%*s", DEEPER + 2, "");
        wrap_print(p->out, x->candidates[i].sign, DEEPER + 2, DEEPER + 2, WIDTH);
    }
}

static void print_more(const struct print *p, const struct finding *x)
{
    char cost[60];
    if (x->why)
        labelled(p, _("Why it matters:"), x->why);
    if (x->certainty == CERTAINTY_LIKELY)
        labelled(p, _("How certain:"), _("likely; the answers could have another reason"));
    if (!isnan(x->usd_per_month)) {
        snprintf(cost, sizeof cost, "$%.2f", x->usd_per_month);
        labelled(p, _("Costs a month:"), cost);
    }
    if (x->reason)
        labelled(p, _("In its own words:"), x->reason);
    print_candidates(p, x);
    if (x->next)
        labelled(p, _("Next:"), x->next);
}

static void print_finding(const struct print *p, const struct finding *x, const char *title)
{
    const char *s = sign(x->severity), *plain = terminal_style(p->fd, STYLE_PLAIN);
    const char *style =
        style_of(x->severity) == STYLE_PLAIN ? "" : terminal_style(p->fd, style_of(x->severity));
    int at = text_width(s, strlen(s)) + 2 + text_width(title, strlen(title)) + 2;
    fprintf(p->out, "%s%s%s  %s: ", style, s, *style ? plain : "", title);
    wrap_print(p->out, x->what, at, INDENT, WIDTH);
    if (x->severity != SEVERITY_FINE)
        print_more(p, x);
}

static void print_skipped(const struct print *p, const struct skipped *s, const char *title)
{
    const char *mark = _("not seen");
    int at = text_width(mark, strlen(mark)) + 2 + text_width(title, strlen(title)) + 2;
    fprintf(p->out, "%s  %s: ", mark, title);
    wrap_print(p->out, s->reason, at, INDENT, WIDTH);
}

static void print_check(const struct print *p, const char *name, const char *title)
{
    for (int i = 0; i < p->f->count; i++)
        if (strcmp(p->f->items[i].check, name) == 0)
            print_finding(p, &p->f->items[i], title);
    for (int i = 0; i < p->f->skipped_count; i++)
        if (strcmp(p->f->skipped[i].check, name) == 0)
            print_skipped(p, &p->f->skipped[i], title);
}

static void print_subject(const struct print *p, const json_t *record)
{
    static const struct {
        const char *name, *label;
    } parts[] = {{"project", N_("project")},
                 {"service", N_("service")},
                 {"region", N_("region")},
                 {"bucket", N_("bucket")},
                 {"repo", N_("model")}};
    const json_t *subject = json_object_get(record, "subject");
    bool any = false;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const char *value = json_string_value(json_object_get(subject, parts[i].name));
        if (value)
            fprintf(p->out, "%s%s %s", any ? ", " : "", tr(parts[i].label), value);
        any = any || value;
    }
    if (any)
        fputs("\n\n", p->out);
}

void doctor_print(const struct findings *f, const json_t *record, FILE *out, int style_fd)
{
    struct print p = {f, out, style_fd};
    const char *name, *title;
    print_subject(&p, record);
    for (int i = 0; (name = doctor_check(i, &title)); i++)
        print_check(&p, name, title);
    if (f->lost)
        fprintf(out, _("%d findings more than there is room for\n"), f->lost);
}

/* --- for programs --- */

static json_t *candidates_json(const struct finding *x)
{
    json_t *list = json_array();
    for (int i = 0; i < x->candidate_count; i++)
        json_array_append_new(
            list, json_pack("{s:s, s:s}", "cause", x->candidates[i].cause, "sign", x->candidates[i].sign));
    return list;
}

static json_t *finding_json(const struct finding *x)
{
    json_t *json =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s*, s:s*, s:s*}", "check", x->check, "id", x->id, "severity",
                  severity_name(x->severity), "certainty", certainty_name(x->certainty), "what", x->what,
                  "why", x->why, "next", x->next, "reason", x->reason);
    if (x->candidate_count)
        json_object_set_new(json, "candidates", candidates_json(x));
    if (!isnan(x->usd_per_month))
        json_object_set_new(json, "usd_per_month", json_real(x->usd_per_month));
    json_object_set_new(json, "fixable", json_boolean(x->remedy != REMEDY_NONE));
    return json;
}

json_t *doctor_json(const struct findings *f, const json_t *record)
{
    json_t *found = json_array(), *skipped = json_array();
    for (int i = 0; i < f->count; i++)
        json_array_append_new(found, finding_json(&f->items[i]));
    for (int i = 0; i < f->skipped_count; i++) {
        const struct skipped *s = &f->skipped[i];
        json_array_append_new(skipped, json_pack("{s:s, s:s, s:s}", "check", s->check, "question",
                                                 s->question, "reason", s->reason));
    }
    return json_pack("{s:O, s:o, s:o, s:i, s:i}", "subject", json_object_get(record, "subject"), "findings",
                     found, "not_seen", skipped, "problems", findings_of(f, SEVERITY_PROBLEM), "warnings",
                     findings_of(f, SEVERITY_WARNING));
}
