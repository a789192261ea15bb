#include "engine/kernel/kernels.h"

#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

static bool always(void)
{
    return true;
}

#if defined(__x86_64__)
static bool has_f16c(void) /* not every compiler's __builtin_cpu_supports knows it */
{
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
}

/* Zen 4 and Cooper Lake upwards. AVX-512 without bf16 gains little over AVX2 in what Ferry does. */
static bool has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bf16");
}
#endif

static const struct {
    const struct kernels *table;
    bool (*runs_here)(void);
} tables[] = {
/* best first */
#if defined(__x86_64__)
    {&kernels_avx512, has_avx512},
    {&kernels_avx2, has_avx2},
#endif
    {&kernels_ref, always},
};

const struct kernels *kernels_pick(const char *name)
{
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        if ((!name || strcmp(name, tables[i].table->name) == 0) && tables[i].runs_here())
            return tables[i].table;
    }
    return NULL;
}
