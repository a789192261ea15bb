#include "serve/batch/generation.h"

#include "base/clock.h"

#include <stdlib.h>

struct generation *generation_new(const struct generation_spec *spec, struct sink sink, struct err *e)
{
    struct generation *g = calloc(1, sizeof *g);
    if (g)
        g->running = calloc((size_t)spec->choices, sizeof *g->running);
    if (!g || !g->running) {
        free(g);
        err_set(e, ERR_MEMORY, "no memory for another request");
        return NULL;
    }
    g->spec = *spec;
    g->sink = sink;
    return g;
}

void generation_free(struct generation *g)
{
    if (!g)
        return;
    sequence_free(g->first);
    free(g->running);
    free(g);
}

/* The session for the next choice: NULL with *e untouched when there is none now. */
static struct session *session_for_choice(struct generation *g, struct err *e)
{
    bool last = g->started == g->spec.choices - 1;
    struct err why = {0};
    struct session *s = last ? NULL : session_fork(g->root, &why);
    if (s || (!last && why.kind != ERR_BUSY)) {
        if (!s)
            *e = why;
        return s;
    }
    if (last || g->running_count == 0) {
        s = g->root;
        g->root = NULL;
        g->prefilled = false;
    }
    return s;
}

bool generation_start_choices(struct generation *g, const struct loaded_model *m, struct err *e)
{
    while (g->prefilled && g->started < g->spec.choices) {
        struct err why = {0};
        struct sequence *q = g->first ? g->first : sequence_new(m, &g->spec, g->started, e);
        if (!q)
            return false;
        g->first = q; /* kept for the next try when there is no session now */
        struct session *s = session_for_choice(g, &why);
        if (!s && why.kind) {
            *e = why;
            return false;
        }
        if (!s)
            return true;
        sequence_start(q, s);
        g->first = NULL;
        g->running[g->running_count++] = q;
        g->started++;
        if (!sequence_step(q, &g->sink, e))
            return false;
        generation_note_step(g, g->running_count - 1);
    }
    return true;
}

void generation_note_step(struct generation *g, int index)
{
    struct sequence *q = g->running[index];
    if (g->first_token_ms == 0)
        g->first_token_ms = clock_ms();
    if (!sequence_finished(q))
        return;
    g->completion_tokens += sequence_tokens(q);
    sequence_free(q);
    g->running[index] = g->running[--g->running_count];
}

bool generation_complete(const struct generation *g)
{
    return g->started == g->spec.choices && g->running_count == 0;
}

void generation_end(struct generation *g, const struct err *why)
{
    for (int i = 0; i < g->running_count; i++) {
        g->completion_tokens += sequence_tokens(g->running[i]);
        sequence_free(g->running[i]);
    }
    g->running_count = 0;
    session_free(g->root);
    g->root = NULL;
    double now = clock_ms(), begin = g->submitted_ms;
    struct event event = {
        .kind = why ? EVENT_FAILED : EVENT_DONE,
        .err = why,
        .stats = {.prompt_tokens = g->spec.prompt.count,
                  .completion_tokens = g->completion_tokens,
                  .queue_ms = (g->session_ms > 0 ? g->session_ms : now) - begin,
                  .first_token_ms = g->first_token_ms > 0 ? g->first_token_ms - begin : 0,
                  .total_ms = now - begin},
    };
    g->sink.event(g->sink.arg, &event);
}
