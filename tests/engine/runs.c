#include "runs.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#ifdef __SANITIZE_THREAD__
const char *const run_cpus[RUN_CPUS] = {"avx2"};
#else
const char *const run_cpus[RUN_CPUS] = {"ref", "avx2", "avx512"};
#endif

struct engine *run_engine(const struct model *m, struct pool *pool, const struct engine_options *o)
{
    struct err e = {0};
    struct engine *g = engine_new(m, pool, o, &e);
    if (!g && e.kind != ERR_UNSUPPORTED)
        fail_msg("%s", e.text);
    if (!g)
        print_message("skipped: %s\n", e.text);
    return g;
}

struct session *run_begin(struct engine *g, const struct prompt *p)
{
    struct err e = {0};
    struct session *s = session_new(g, &e);
    if (!s || !session_begin(s, p, &e))
        fail_msg("%s", e.text);
    return s;
}

struct session *run_prefill(struct engine *g, const struct prompt *p)
{
    struct err e = {0};
    struct session *s = run_begin(g, p);
    bool done = false;
    if (!session_prefill(s, INFINITY, &done, &e))
        fail_msg("%s", e.text);
    assert_true(done);
    assert_int_equal(session_length(s), p->count);
    return s;
}

void run_decode(struct engine *g, struct session *const *sessions, const int *tokens, int n)
{
    struct err e = {0};
    if (!engine_decode(g, sessions, tokens, n, &e))
        fail_msg("%s", e.text);
}

int run_best(const float *logits, int vocab)
{
    int at = 0;
    for (int i = 1; i < vocab; i++)
        if (logits[i] > logits[at])
            at = i;
    return at;
}
