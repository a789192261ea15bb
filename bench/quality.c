/* What an encoding costs in quality: the logits of a model beside those of the same model as it came, with
 * both fed the same texts, and how well either foresees them. README.md says how to read the rows. */
#include "base/arena.h"
#include "base/file.h"
#include "engine/chat.h"
#include "model/pack.h"
#include "options.h"
#include "rows.h"
#include "serve/loaded_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BYTES = 64 << 20, MAX_FILE = 16 << 20, MOST_SECONDS = 30 };

static const char usage[] = //
    "usage: bench_quality --reference FOLDER --model FOLDER [options]\n"
    "  --reference FOLDER  the model as it came\n"
    "  --model FOLDER      its pack\n"
    "  --math NAME         fast or exact (fast)\n"
    "  --cases FILE        what to ask (bench/quality.txt)\n"
    "  --threads N         (all CPUs)\n";

struct options {
    const char *reference, *model, *cases, *math_name;
    struct engine_options engine;
    int threads;
};

/* One line of the file. */
struct asked {
    char *recording, *question, *answer; /* "" for none */
};

/* Over all tokens of one kind of cases. */
struct totals {
    double largest, sum, divergence; /* of |difference|, of its mean over the vocabulary, of KL(reference) */
    double surprise[2];              /* of the reference, of the model: -ln of the token's probability */
    int tokens, same_best;
};

enum { REFERENCE, MODEL, BOTH };
enum { ANSWERS, TEXTS, KINDS };

struct quality {
    struct loaded_model models[BOTH];
    struct totals totals[KINDS];
    struct arena *arena; /* of one case */
};

/* ---- comparing ---- */

static int best_of(const float *logits, int n)
{
    int best = 0;
    for (int i = 1; i < n; i++)
        best = logits[i] > logits[best] ? i : best;
    return best;
}

/* ln of the sum of exp(logits). */
static double log_total(const float *logits, int n)
{
    double most = (double)logits[best_of(logits, n)], sum = 0;
    for (int i = 0; i < n; i++)
        sum += exp((double)logits[i] - most);
    return most + log(sum);
}

/* Both logits before `token`. */
static void compare(struct totals *t, const float *const logits[BOTH], int n, int token)
{
    double total[BOTH], sum = 0, divergence = 0;
    for (int m = 0; m < BOTH; m++) {
        total[m] = log_total(logits[m], n);
        t->surprise[m] += total[m] - (double)logits[m][token];
    }
    for (int i = 0; i < n; i++) {
        double a = (double)logits[REFERENCE][i], b = (double)logits[MODEL][i], difference = fabs(a - b);
        t->largest = difference > t->largest ? difference : t->largest;
        sum += difference;
        divergence += exp(a - total[REFERENCE]) * (a - total[REFERENCE] - (b - total[MODEL]));
    }
    t->sum += sum / n;
    t->divergence += divergence;
    t->same_best += best_of(logits[REFERENCE], n) == best_of(logits[MODEL], n);
    t->tokens++;
}

/* ---- feeding ---- */

static bool open_sessions(struct quality *q, const struct prompt *p, struct session *s[BOTH], struct err *e)
{
    for (int m = 0; m < BOTH; m++) {
        bool done = false;
        s[m] = session_new(q->models[m].engine, e);
        if (!s[m] || !session_begin(s[m], p, e) || !session_prefill(s[m], INFINITY, &done, e))
            return false;
    }
    return true;
}

/* The prompt to both, then the answer token by token, each compared before it is fed. */
static bool feed(struct quality *q, struct totals *t, const struct prompt *p, const int *answer, size_t count,
                 struct err *e)
{
    struct session *s[BOTH] = {NULL};
    int vocab = q->models[REFERENCE].model.config.text.vocab;
    bool ok = open_sessions(q, p, s, e);
    for (size_t i = 0; ok && i < count; i++) {
        const float *logits[BOTH] = {session_logits(s[REFERENCE]), session_logits(s[MODEL])};
        compare(t, logits, vocab, answer[i]);
        for (int m = 0; ok && m < BOTH && i + 1 < count; m++)
            ok = engine_decode(q->models[m].engine, &s[m], &answer[i], 1, e);
    }
    for (int m = 0; m < BOTH; m++)
        session_free(s[m]);
    return ok;
}

static bool hear(struct quality *q, const char *path, struct mel *clip, struct err *e)
{
    const struct loaded_model *m = &q->models[REFERENCE];
    struct audio audio = {0};
    size_t size;
    if (!m->mel)
        return err_set(e, ERR_UNSUPPORTED, "%s: has no ears", m->model.name);
    const char *bytes = file_read(q->arena, path, MAX_FILE, &size, e);
    bool ok = bytes && audio_decode(&audio, bytes, size, m->model.config.mel.sample_rate, MOST_SECONDS, e) &&
              mel_compute(m->mel, audio.samples, audio.count, q->arena, clip, e);
    audio_clear(&audio);
    return ok;
}

/* A question and what ends its answer. */
static bool ask(struct quality *q, const struct asked *a, struct ids *answer, struct err *e)
{
    const struct loaded_model *m = &q->models[REFERENCE];
    struct mel clip;
    struct chat chat = {0};
    struct chat_part parts[] = {{.clips = &clip, .clip_count = 1},
                                {.text = a->question, .text_size = strlen(a->question)}};
    bool heard = *a->recording != '\0';
    struct chat_message message = {"user", heard ? parts : parts + 1, heard ? 2 : 1};
    bool ok = (!heard || hear(q, a->recording, &clip, e)) &&
              chat_render(&chat, m->tokenizer, &m->model.config, &message, 1, NULL, e) &&
              ids_push(answer, tokenizer_added(m->tokenizer, "<|im_end|>"), e) &&
              feed(q, &q->totals[ANSWERS], &chat.prompt, answer->data, answer->count, e);
    chat_clear(&chat);
    return ok;
}

static bool run_case(struct quality *q, const struct asked *a, struct err *e)
{
    struct ids answer = {0};
    bool ok = tokenizer_encode(q->models[REFERENCE].tokenizer, a->answer, strlen(a->answer), SPECIALS_AS_TEXT,
                               &answer, e);
    if (ok && (*a->question || *a->recording))
        ok = ask(q, a, &answer, e);
    else if (ok && answer.count > 1)
        ok = feed(q, &q->totals[TEXTS], &(struct prompt){.ids = answer.data, .count = 1}, answer.data + 1,
                  answer.count - 1, e);
    ids_clear(&answer);
    return ok || err_wrap(e, "\"%.60s\"", a->answer);
}

/* ---- the file ---- */

static bool split_line(char *line, struct asked *a)
{
    char *first = strchr(line, '|'), *second = first ? strchr(first + 1, '|') : NULL;
    if (!second)
        return false;
    *first = *second = '\0';
    *a = (struct asked){line, first + 1, second + 1};
    return true;
}

static bool run_cases(struct quality *q, char *text, const char *path, struct err *e)
{
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));) {
        struct asked a;
        if (*line == '\0' || *line == '#')
            continue;
        if (!split_line(line, &a))
            return err_set(e, ERR_CORRUPT, "%s: \"%.60s\", expected RECORDING|QUESTION|ANSWER", path, line);
        q->arena = arena_new(ARENA_BYTES);
        bool ok = q->arena ? run_case(q, &a, e) : err_set(e, ERR_MEMORY, "no memory for a case");
        arena_free(q->arena);
        if (!ok)
            return false;
    }
    return true;
}

/* ---- the whole ---- */

static void print_totals(const struct rows *rows, const char *name, const struct totals *t)
{
    const struct {
        const char *what, *unit;
        double value;
    } distances[] = {
        {"largest distance", "logits", t->largest},
        {"mean distance", "logits", t->sum / t->tokens},
        {"divergence", "nats/token", t->divergence / t->tokens},
        {"same best token", "of tokens", (double)t->same_best / t->tokens},
    };
    char setting[200];
    for (size_t i = 0; i < sizeof distances / sizeof *distances; i++) {
        snprintf(setting, sizeof setting, "%s %s", name, distances[i].what);
        rows_value(rows, setting, distances[i].value, distances[i].unit);
    }
    snprintf(setting, sizeof setting, "%s perplexity", name);
    double perplexity = exp(t->surprise[MODEL] / t->tokens);
    rows_ratio(rows, setting, perplexity, "", perplexity / exp(t->surprise[REFERENCE] / t->tokens),
               "the model as it came");
}

static void print_rows(const struct quality *q, const char *math)
{
    static const char *const kinds[] = {[ANSWERS] = "answers", [TEXTS] = "texts"};
    const struct model *m = &q->models[MODEL].model;
    char name[160];
    struct rows rows;
    rows_begin(&rows, "quality");
    for (int kind = 0; kind < KINDS; kind++) {
        snprintf(name, sizeof name, "%.60s %s %s %s", q->models[REFERENCE].model.name,
                 dtype_name(m->weights->decoder[0].q.weight.dtype), math, kinds[kind]);
        if (q->totals[kind].tokens)
            print_totals(&rows, name, &q->totals[kind]);
    }
}

static bool same_vocabulary(const struct quality *q, struct err *e)
{
    int a = q->models[REFERENCE].model.config.text.vocab, b = q->models[MODEL].model.config.text.vocab;
    return a == b || err_set(e, ERR_USAGE, "a model of %d tokens beside one of %d: not the same model", b, a);
}

static bool run(const struct options *o, struct err *e)
{
    struct quality q = {0};
    size_t size;
    struct arena *a = arena_new(MAX_FILE + 1);
    char *text = a ? file_read(a, o->cases, MAX_FILE, &size, e) : NULL;
    bool ok = text && loaded_model_open(&q.models[REFERENCE], o->reference, o->threads, &o->engine, e) &&
              loaded_model_open(&q.models[MODEL], o->model, o->threads, &o->engine, e) &&
              same_vocabulary(&q, e) && run_cases(&q, text, o->cases, e);
    if (ok)
        print_rows(&q, o->math_name);
    for (int m = 0; m < BOTH; m++)
        loaded_model_close(&q.models[m]);
    arena_free(a);
    return ok;
}

static bool parse(int argc, char **argv, struct options *o)
{
    static const char *const maths[] = {[MATH_FAST] = "fast", [MATH_EXACT] = "exact"};
    *o = (struct options){.math_name = "fast", .cases = "bench/quality.txt", .threads = rows_cpus()};
    const struct option_row rows[] = {
        {"reference", OPTION_TEXT, &o->reference}, {"model", OPTION_TEXT, &o->model},
        {"math", OPTION_TEXT, &o->math_name},      {"cases", OPTION_TEXT, &o->cases},
        {"threads", OPTION_NUMBER, &o->threads},
    };
    if (!options_parse(argc, argv, rows, sizeof rows / sizeof *rows, NULL))
        return false;
    int math = options_choose(o->math_name, maths, sizeof maths / sizeof *maths);
    o->engine.math = (enum math_mode)math;
    return o->reference && o->model && math >= 0;
}

int main(int argc, char **argv)
{
    struct options o;
    struct err e = {0};
    if (!parse(argc, argv, &o)) {
        fputs(usage, stderr);
        return 2;
    }
    if (!run(&o, &e)) {
        fprintf(stderr, "bench_quality: %s\n", e.text);
        return 1;
    }
    return 0;
}
