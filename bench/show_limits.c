/* Prints what limits.h measures, for 1 thread, 2, … up to all CPUs. */
#include "limits.h"
#include "rows.h"

#include <stdio.h>

static void print_limits(const struct rows *rows, const struct limits *l, int threads)
{
    const struct {
        const char *name, *unit;
        double value;
    } kinds[] = {
        {"read", "GB/s", l->read_gb_s},
        {"bf16 peak", "GFLOP/s", l->bf16_gflop_s},
        {"f32 peak", "GFLOP/s", l->f32_gflop_s},
        {"int8 peak", "GOP/s", l->int8_gop_s},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        char setting[64];
        snprintf(setting, sizeof setting, "%s %d threads", kinds[i].name, threads);
        if (kinds[i].value > 0)
            rows_value(rows, setting, kinds[i].value, kinds[i].unit);
    }
}

static bool show(const struct rows *rows, int threads, struct err *e)
{
    struct pages buffer = {0};
    struct limits l = {0};
    struct pool *pool = pool_new(threads, e);
    bool ok = pool && limits_buffer(&buffer, pool, e);
    if (ok) {
        limits_sample(&l, &buffer, pool);
        print_limits(rows, &l, threads);
    }
    pages_free(&buffer);
    pool_free(pool);
    return ok;
}

int main(void)
{
    struct rows rows;
    struct err e = {0};
    rows_begin(&rows, "limits");
    for (int threads = 1; threads <= rows_cpus(); threads++)
        if (!show(&rows, threads, &e)) {
            fprintf(stderr, "bench_limits: %s\n", e.text);
            return 1;
        }
    return 0;
}
