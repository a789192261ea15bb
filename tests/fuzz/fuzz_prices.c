/* A snapshot of prices. What is accepted has numbers or NAN, texts that a terminal may show, and sums that
 * are no less than nothing. */
#include "plan/cost.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_text(const char *s)
{
    for (; *s; s++)
        check(*s >= 0x20 && *s != 0x7f);
}

static void check_sums(const struct prices *p)
{
    struct cost_load l = {.shape = {8, 21},
                          .tier = prices_tier(p, "asia-northeast1"),
                          .requests_per_day = 100,
                          .answer_s = {1, 10},
                          .cold_s = {20, 200},
                          .start_reads = 2000};
    for (int w = 0; w < COST_WAYS; w++) {
        struct span s = cost_month(p, &l, (enum cost_way)w, 1);
        check(!span_known(s) || (s.least >= 0 && s.most >= 0));
    }
    struct span even = cost_break_even_way(p, &l, COST_ALWAYS_ON, 1);
    check(!span_known(even) || even.least <= even.most);
    check(!(cost_storage(p, "us-central1", STORAGE_STANDARD, 1 << 30, 1) < 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = {0};
    struct prices *p = prices_parse((const char *)data, size, &e);
    if (!p) {
        check(e.kind != ERR_NONE && e.text[0] && !strchr(e.text, '\n'));
        return 0;
    }
    const struct price *one = prices_find(p, "run.request.cpu.active");
    check(isnan(one->value) || one->value >= 0);
    check_text(one->what);
    check_text(one->source);
    check_text(one->date);
    check_text(prices_date(p));
    check_sums(p);
    prices_free(p);
    return 0;
}
