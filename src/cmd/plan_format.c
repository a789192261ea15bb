#include "cmd/plan_format.h"

#include "base/catalog.h"
#include "cmd/human.h"

#include <math.h>
#include <string.h>

static const char unknown[] = N_("unknown"), dash[] = "\u2013";

/* Whole numbers with commas. */
const char *say_count(struct report *r, double n)
{
    char digits[40], out[60];
    if (isnan(n))
        return tr(unknown);
    snprintf(digits, sizeof digits, "%.0f", n < 1e18 ? n : 1e18);
    size_t length = strlen(digits), to = 0;
    for (size_t i = 0; i < length; i++) {
        if (i && (length - i) % 3 == 0 && digits[i - 1] != '-')
            out[to++] = ',';
        out[to++] = digits[i];
    }
    out[to] = 0;
    return report_text(r, "%s", out);
}

/* Cents are cents, smaller amounts lose zeros at their end: 0.01, 0.0123. */
static const char *without_zeros(struct report *r, const char *digits)
{
    size_t n = strlen(digits);
    while (n > sizeof "0.00" - 1 && digits[n - 1] == '0')
        n--;
    return report_text(r, "%.*s", (int)n, digits);
}

/* Three digits: 0.0123, 1.23, 12.3, 1,230. */
static const char *three_digits(struct report *r, double n)
{
    if (n == 0)
        return "0";
    if (n >= 99.95)
        return say_count(r, n);
    int decimals = n >= 9.995 ? 1 : n >= 0.9995 ? 2 : (int)fmin(2 - floor(log10(n * 1.0005)), 12);
    return decimals > 2 ? without_zeros(r, report_text(r, "%.*f", decimals, n))
                        : report_text(r, "%.*f", decimals, n);
}

const char *say_few(struct report *r, double n)
{
    return n < 0.005 ? "0" : three_digits(r, n);
}

static const char *two_ends(struct report *r, const char *least, const char *most, const char *unit)
{
    if (strcmp(least, most) == 0)
        return report_text(r, "%s%s", least, unit);
    return report_text(r, "%s%s%s%s", least, dash, most, unit);
}

const char *say_number_span(struct report *r, struct span n)
{
    if (!span_known(n))
        return tr(unknown);
    return two_ends(r, three_digits(r, n.least), three_digits(r, n.most), "");
}

/* --- money --- */

static const char *amount(struct report *r, const struct money *m, double usd)
{
    if (m->yen_per_usd == 0)
        return usd >= 0.0995 && usd < 9.995 ? report_text(r, "%.2f", usd) : three_digits(r, usd);
    double yen = usd * m->yen_per_usd;
    return yen >= 9.995 ? say_count(r, yen) : three_digits(r, yen);
}

static const char *sign(const struct money *m)
{
    return m->yen_per_usd == 0 ? "$" : "\u00a5";
}

const char *say_usd(struct report *r, const struct money *m, double usd)
{
    return isnan(usd) ? tr(unknown) : report_text(r, "%s%s", sign(m), amount(r, m, usd));
}

const char *say_usd_span(struct report *r, const struct money *m, struct span usd)
{
    if (!span_known(usd))
        return tr(unknown);
    return report_text(r, "%s%s", sign(m), two_ends(r, amount(r, m, usd.least), amount(r, m, usd.most), ""));
}

/* --- time and bytes --- */

static const struct time_unit {
    double from, seconds;
    const char *name;
} time_units[] = {
    {3 * 3600.0, 3600, "h"},
    {300, 60, "min"},
    {0.0995, 1, "s"},
    {0, 1e-3, "ms"},
};

static const struct time_unit *unit_of(double seconds)
{
    const struct time_unit *u = time_units;
    while (seconds < u->from)
        u++;
    return u;
}

static const char *in_unit(struct report *r, double seconds, const struct time_unit *u)
{
    double n = seconds / u->seconds;
    return report_text(r, "%.*f", n < 9.95 ? 1 : 0, n);
}

const char *say_seconds(struct report *r, double seconds)
{
    return say_seconds_span(r, span_of(seconds));
}

const char *say_seconds_span(struct report *r, struct span s)
{
    if (!span_known(s))
        return tr(unknown);
    const struct time_unit *most = unit_of(s.most), *least = unit_of(s.least);
    if (most == least)
        return report_text(r, "%s %s", two_ends(r, in_unit(r, s.least, most), in_unit(r, s.most, most), ""),
                           most->name);
    return report_text(r, "%s %s%s%s %s", in_unit(r, s.least, least), least->name, dash,
                       in_unit(r, s.most, most), most->name);
}

const char *say_gib(struct report *r, uint64_t bytes)
{
    double gib = (double)bytes / (1 << 30);
    if (gib >= 0.995)
        return report_text(r, "%.1f GiB", gib);
    double mib = (double)bytes / (1 << 20);
    return report_text(r, "%.*f MiB", mib < 9.95 ? 1 : 0, mib);
}

const char *say_rate(struct report *r, double bytes_per_second)
{
    char text[HUMAN_TEXT];
    return report_text(r, "%s/s", human_bytes((uint64_t)bytes_per_second, text));
}

const char *say_from_span(struct report *r, struct span requests)
{
    if (!span_known(requests))
        return tr(unknown);
    if (isinf(requests.least))
        return _("never");
    if (isinf(requests.most))
        return report_text(r, "%s%snever", say_count(r, requests.least), dash);
    return two_ends(r, say_count(r, requests.least), say_count(r, requests.most), "");
}
