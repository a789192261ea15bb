#include "serve/batch/sequence.h"

#include "engine/stop.h"

#include <stdlib.h>
#include <string.h>

/* A token whose text has not been released yet, because it may begin a stop string or ends inside a
 * character. */
struct held_token {
    struct token_report report;
    size_t begin, end; /* its characters in the choice's text, in bytes */
};

struct sequence {
    const struct loaded_model *model;
    const struct generation_spec *spec;
    int choice;
    struct session *session;
    struct sampler *sampler;
    struct detokenizer characters;
    struct stop_matcher *stops;
    int next, tokens;
    bool finished;
    size_t produced, released; /* bytes of text out of the detokenizer, out of the stop matcher */
    struct scratch {
        char *data;
        size_t room;
    } characters_in, text_out; /* out of the detokenizer; out of the stop matcher */
    struct held_token *held;   /* [held_count], room for held_room */
    int held_count, held_room;
};

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_MEMORY, "no memory for the text of an answer");
}

struct sequence *sequence_new(const struct loaded_model *m, const struct generation_spec *spec, int choice,
                              struct err *e)
{
    struct sequence *q = calloc(1, sizeof *q);
    if (!q) {
        no_memory(e);
        return NULL;
    }
    *q = (struct sequence){.model = m, .spec = spec, .choice = choice};
    struct sampling sampling = spec->sampling;
    sampling.seed += (uint64_t)choice;
    q->sampler = sampler_new(&sampling, m->model.config.text.vocab, spec->prompt.ids, spec->prompt.count, e);
    if (q->sampler)
        q->stops = stop_new(spec->stops, spec->stop_count, e);
    if (!q->stops) {
        sequence_free(q);
        return NULL;
    }
    return q;
}

void sequence_free(struct sequence *q)
{
    if (!q)
        return;
    session_free(q->session);
    sampler_free(q->sampler);
    stop_free(q->stops);
    free(q->characters_in.data);
    free(q->text_out.data);
    free(q->held);
    free(q);
}

void sequence_start(struct sequence *q, struct session *s)
{
    q->session = s;
}

bool sequence_finished(const struct sequence *q)
{
    return q->finished;
}

int sequence_tokens(const struct sequence *q)
{
    return q->tokens;
}

int sequence_next(const struct sequence *q)
{
    return q->next;
}

struct session *sequence_session(struct sequence *q)
{
    return q->session;
}

static bool is_stop_id(const struct generation_config *c, int id)
{
    for (int i = 0; i < c->stop_count; i++) {
        if (c->stop_ids[i] == id)
            return true;
    }
    return false;
}

static bool grow(struct scratch *s, size_t need, struct err *e)
{
    if (need <= s->room)
        return true;
    char *data = realloc(s->data, need * 2);
    if (!data)
        return no_memory(e);
    *s = (struct scratch){data, need * 2};
    return true;
}

/* The characters that token id completes (id < 0: what the end leaves) into characters_in. */
static bool push_characters(struct sequence *q, int id, size_t *count, struct err *e)
{
    size_t size = 0;
    const char *bytes = id >= 0 ? tokenizer_bytes(q->model->tokenizer, id, &size) : NULL;
    if (!grow(&q->characters_in, detokenizer_room(size), e))
        return false;
    *count = id >= 0 ? detokenizer_push(&q->characters, bytes, size, q->characters_in.data)
                     : detokenizer_finish(&q->characters, q->characters_in.data);
    q->produced += *count;
    return true;
}

static bool hold_token(struct sequence *q, const float *logits, int id, struct held_token **out,
                       struct err *e)
{
    *out = NULL;
    if (!q->spec->logprobs)
        return true;
    if (q->held_count == q->held_room) {
        int room = q->held_room ? q->held_room * 2 : 8;
        struct held_token *held = realloc(q->held, (size_t)room * sizeof *held);
        if (!held)
            return no_memory(e);
        q->held = held;
        q->held_room = room;
    }
    struct held_token *t = *out = &q->held[q->held_count++];
    *t = (struct held_token){.begin = q->produced, .report.top_count = q->spec->top_logprobs};
    logprobs_top(logits, q->model->model.config.text.vocab, id, &t->report.chosen, t->report.top,
                 t->report.top_count);
    return true;
}

/* How many of the held tokens the released text covers. Once the text is cut at a stop string, a token that
 * began before the cut counts. */
static int covered_tokens(const struct sequence *q, bool cut)
{
    int n = 0;
    while (n < q->held_count && (cut ? q->held[n].begin < q->released : q->held[n].end <= q->released))
        n++;
    return n;
}

/* The reports of the first n held tokens, which are held no longer. NULL: no memory. */
static struct token_report *take_reports(struct sequence *q, int n)
{
    struct token_report *reports = malloc((size_t)n * sizeof *reports);
    if (!reports)
        return NULL;
    for (int i = 0; i < n; i++)
        reports[i] = q->held[i].report;
    q->held_count -= n;
    memmove(q->held, q->held + n, (size_t)q->held_count * sizeof *q->held);
    return reports;
}

/* The next size bytes of text_out. */
static bool emit(struct sequence *q, size_t size, bool cut, const struct sink *sink, struct err *e)
{
    q->text_out.data[size] = '\0';
    q->released += size;
    int n = covered_tokens(q, cut);
    if (size == 0 && n == 0)
        return true;
    struct token_report *tokens = NULL;
    if (n > 0 && !(tokens = take_reports(q, n)))
        return no_memory(e);
    struct event event = {.kind = EVENT_TEXT,
                          .choice = q->choice,
                          .text = q->text_out.data,
                          .text_size = size,
                          .tokens = tokens,
                          .token_count = n};
    sink->event(sink->arg, &event);
    free(tokens);
    return true;
}

/* count new characters in characters_in: what may go out goes out. *stopped: a stop string is complete. */
static bool release(struct sequence *q, size_t count, bool *stopped, const struct sink *sink, struct err *e)
{
    *stopped = false;
    if (!grow(&q->text_out, stop_room(q->stops, count) + 1, e))
        return false;
    size_t size = stop_push(q->stops, q->characters_in.data, count, q->text_out.data, stopped);
    return emit(q, size, *stopped, sink, e);
}

/* The end of a choice: what was held back goes out, unless a stop string cut it off. */
static bool finish(struct sequence *q, enum finish_reason reason, bool cut, const struct sink *sink,
                   struct err *e)
{
    size_t count;
    if (!cut) {
        if (!push_characters(q, -1, &count, e) || !release(q, count, &cut, sink, e))
            return false;
        if (cut)
            reason = FINISH_STOP;
    }
    if (!cut) {
        if (!grow(&q->text_out, stop_room(q->stops, 0) + 1, e) ||
            !emit(q, stop_finish(q->stops, q->text_out.data), false, sink, e))
            return false;
    }
    q->finished = true;
    struct event event = {
        .kind = EVENT_FINISH, .choice = q->choice, .finish = reason, .choice_tokens = q->tokens};
    sink->event(sink->arg, &event);
    return true;
}

bool sequence_step(struct sequence *q, const struct sink *sink, struct err *e)
{
    const float *logits = session_logits(q->session);
    int id = q->next = sampler_pick(q->sampler, logits);
    if (id < 0)
        return err_set(e, ERR_CORRUPT, "the model's scores are not numbers: are the weights damaged?");
    q->tokens++;
    if (is_stop_id(&q->model->model.config.generation, id))
        return finish(q, FINISH_STOP, false, sink, e);
    struct held_token *held;
    size_t count;
    bool stopped;
    if (!hold_token(q, logits, id, &held, e) || !push_characters(q, id, &count, e))
        return false;
    if (held)
        held->end = q->produced;
    if (!release(q, count, &stopped, sink, e))
        return false;
    if (stopped)
        return finish(q, FINISH_STOP, true, sink, e);
    bool full = session_length(q->session) >= engine_context(q->model->engine);
    if (q->tokens == q->spec->max_tokens || full)
        return finish(q, FINISH_LENGTH, false, sink, e);
    return true;
}
