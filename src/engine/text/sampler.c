#include "engine/sampler.h"

#include "engine/text/random.h"
#include "engine/text/scan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct sampler {
    struct sampling o;
    int vocab;
    struct random random;
    float *scores;          /* [vocab] the logits of this step, penalties and bias applied */
    struct candidate *kept; /* [vocab] what survives, p a weight relative to the best */
    float *heap;            /* [top_k] the largest scores, the least of them first */
    int *seen;              /* [vocab] distinct ids of prompt and output */
    int seen_count;
    uint32_t *uses; /* [vocab] 0: not seen, else 1 + how often in the output */
};

struct range {
    const char *name;
    double value, least, most;
};

static bool check_ranges(const struct sampling *o, struct err *e)
{
    const struct range ranges[] = {
        {"temperature", o->temperature, 0, 100},
        {"top_p", o->top_p, 0, 1},
        {"min_p", o->min_p, 0, 1},
        {"top_k", o->top_k, 0, INT32_MAX},
        {"repetition_penalty", o->repetition_penalty, 0.01F, 100}, /* as a float: 0.01 itself is in */
        {"frequency_penalty", o->frequency_penalty, -100, 100},
        {"presence_penalty", o->presence_penalty, -100, 100},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        const struct range *r = &ranges[i];
        if (!(r->value >= r->least && r->value <= r->most)) /* NaN is in no range */
            return err_set(e, ERR_USAGE, "%s is %g, expected %g to %g", r->name, r->value, r->least, r->most);
    }
    return true;
}

static bool check_bias(const struct sampling *o, int vocab, struct err *e)
{
    for (int i = 0; i < o->bias_count; i++) {
        const struct logit_bias *b = &o->bias[i];
        if (b->id < 0 || b->id >= vocab)
            return err_set(e, ERR_USAGE, "logit_bias has token id %d, expected 0 to %d", b->id, vocab - 1);
        if (!(b->bias >= -100 && b->bias <= 100))
            return err_set(e, ERR_USAGE, "logit_bias of token id %d is %g, expected -100 to 100", b->id,
                           (double)b->bias);
    }
    return true;
}

static bool take_memory(struct sampler *s, struct err *e)
{
    size_t vocab = (size_t)s->vocab;
    s->scores = calloc(vocab, sizeof *s->scores);
    s->kept = calloc(vocab, sizeof *s->kept);
    s->heap = calloc((size_t)s->o.top_k + 1, sizeof *s->heap);
    s->seen = calloc(vocab, sizeof *s->seen);
    s->uses = calloc(vocab, sizeof *s->uses);
    if (!s->scores || !s->kept || !s->heap || !s->seen || !s->uses)
        return err_set(e, ERR_MEMORY, "no memory for a sampler of %d tokens", s->vocab);
    return true;
}

static void remember(struct sampler *s, int id, bool output)
{
    if (s->uses[id] == 0) {
        s->seen[s->seen_count++] = id;
        s->uses[id] = 1;
    }
    s->uses[id] += output;
}

static bool sampler_init(struct sampler *s, const struct sampling *o, int vocab, const int *prompt, int count,
                         struct err *e)
{
    if (vocab < 1)
        return err_set(e, ERR_USAGE, "a vocabulary of %d tokens, expected at least 1", vocab);
    if (!check_ranges(o, e) || !check_bias(o, vocab, e))
        return false;
    s->o = *o;
    s->vocab = vocab;
    if (s->o.top_k >= vocab)
        s->o.top_k = 0;
    random_seed(&s->random, o->seed);
    if (!take_memory(s, e))
        return false;
    for (int i = 0; i < count; i++) {
        if (prompt[i] < 0 || prompt[i] >= vocab)
            return err_set(e, ERR_USAGE, "the prompt has token id %d, expected 0 to %d", prompt[i],
                           vocab - 1);
        remember(s, prompt[i], false);
    }
    return true;
}

struct sampler *sampler_new(const struct sampling *o, int vocab, const int *prompt, int prompt_count,
                            struct err *e)
{
    struct sampler *s = calloc(1, sizeof *s);
    if (!s) {
        err_set(e, ERR_MEMORY, "no memory for a sampler");
        return NULL;
    }
    if (sampler_init(s, o, vocab, prompt, prompt_count, e))
        return s;
    sampler_free(s);
    return NULL;
}

void sampler_free(struct sampler *s)
{
    if (!s)
        return;
    free(s->scores);
    free(s->kept);
    free(s->heap);
    free(s->seen);
    free(s->uses);
    free(s);
}

/* Scores. */

/* False when one is NaN. */
static bool copy_logits(struct sampler *s, const float *logits)
{
    int bad = 0;
    for (int i = 0; i < s->vocab; i++) {
        s->scores[i] = logits[i];
        bad |= logits[i] != logits[i];
    }
    return !bad;
}

/* Over the ids seen, not over the vocabulary. */
static void penalise(struct sampler *s)
{
    float factor = s->o.repetition_penalty;
    for (int i = 0; i < s->seen_count; i++) {
        float *score = &s->scores[s->seen[i]];
        uint32_t outputs = s->uses[s->seen[i]] - 1;
        if (factor != 1.0f)
            *score = *score < 0 ? *score * factor : *score / factor;
        if (outputs)
            *score -= (float)outputs * s->o.frequency_penalty + s->o.presence_penalty;
    }
    for (int i = 0; i < s->o.bias_count; i++)
        s->scores[s->o.bias[i].id] += s->o.bias[i].bias;
}

/* Candidates. */

/* Puts a score in place of the least of a heap of n. */
static void heap_replace(float *heap, int n, float score)
{
    int i = 0;
    for (int child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && heap[child + 1] < heap[child])
            child++;
        if (heap[child] >= score)
            break;
        heap[i] = heap[child];
    }
    heap[i] = score;
}

/* The k-th largest score: what is equal to it stays as well, as in the reference. */
static float top_k_floor(struct sampler *s)
{
    int k = s->o.top_k;
    for (int i = 0; i < k; i++)
        s->heap[i] = -INFINITY;
    for (int i = 0; (i = scan_next(s->scores, s->vocab, i, s->heap[0])) < s->vocab; i++)
        if (s->scores[i] > s->heap[0])
            heap_replace(s->heap, k, s->scores[i]);
    return s->heap[0];
}

/* How many of the likeliest scores top-p could keep is not known before all are weighed, but they need not be
 * sorted for it: their weights are summed in bins of falling score, and only the bins that reach p matter. */
enum {
    BINS_PER_NAT = 8,
    BINS = 64 * BINS_PER_NAT, /* e^-64 of 10^6 scores is less than a float's rounding of the sum */
};

/* A score that everything top-p could keep is at or over; *total: the weight of all scores. */
static float top_p_floor(const struct sampler *s, float best, double *total)
{
    double weight[BINS] = {0}, sum = 0;
    float scale = 1.0f / s->o.temperature;
    for (int i = 0; i < s->vocab; i++) {
        float nats = (best - s->scores[i]) * scale;
        if (nats < (float)BINS / BINS_PER_NAT)
            weight[(int)(nats * BINS_PER_NAT)] += (double)expf(-nats);
    }
    *total = 0;
    for (int i = 0; i < BINS; i++)
        *total += weight[i];
    int last = 0;
    while (last < BINS && (sum += weight[last]) < (double)s->o.top_p * *total)
        last++;
    /* One bin more than reaches p, for what rounding may have moved. */
    return best - (float)(last + 2) / BINS_PER_NAT * s->o.temperature;
}

/* Everything at or over the floor, weighed; answers how many, *sum: their weight. */
static int gather(struct sampler *s, float floor, float best, double *sum)
{
    int n = 0;
    *sum = 0;
    for (int i = 0; (i = scan_next(s->scores, s->vocab, i, floor)) < s->vocab; i++) {
        float p = (float)exp(((double)s->scores[i] - (double)best) / (double)s->o.temperature);
        if (p <= 0)
            continue;
        s->kept[n++] = (struct candidate){i, p};
        *sum += (double)p;
    }
    return n;
}

static int by_falling_p(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    return x->p != y->p ? (x->p < y->p) - (x->p > y->p) : (x->id > y->id) - (x->id < y->id);
}

/* The reference sorts by rising probability and removes what is in the first 1 - p of the sum; seen from
 * the other end: a token stays while those before it do not reach p. The first one always stays. */
static int cut_top_p(const struct sampler *s, int n, double total)
{
    double before = 0;
    int kept = 0;
    while (kept < n && (kept == 0 || before < (double)s->o.top_p * total))
        before += (double)s->kept[kept++].p;
    return kept;
}

static int cut_min_p(struct sampler *s, int n)
{
    int kept = 0;
    for (int i = 0; i < n; i++)
        if (s->kept[i].p >= s->o.min_p) /* the best one weighs 1 */
            s->kept[kept++] = s->kept[i];
    return kept;
}

/* Fills s->kept from raw logits; how many survive, 0 when there is nothing to choose from. They are sorted
 * when asked for, or when top-p had to. */
static int select_candidates(struct sampler *s, const float *logits, bool sorted)
{
    if (!copy_logits(s, logits))
        return 0;
    penalise(s);
    int largest = scan_largest(s->scores, s->vocab);
    float best = s->scores[largest], floor = -INFINITY;
    double total = 0, sum;
    if (!isfinite(best))
        return 0;
    if (s->o.temperature <= 0) {
        s->kept[0] = (struct candidate){largest, 1.0f};
        return 1;
    }
    if (s->o.top_k)
        floor = top_k_floor(s);
    else if (s->o.top_p < 1)
        floor = top_p_floor(s, best, &total);
    int n = gather(s, floor, best, &sum);
    if (sorted || s->o.top_p < 1)
        qsort(s->kept, (size_t)n, sizeof *s->kept, by_falling_p);
    if (s->o.top_p < 1)
        n = cut_top_p(s, n, s->o.top_k ? sum : total);
    return s->o.min_p > 0 ? cut_min_p(s, n) : n;
}

static double weight_of(const struct sampler *s, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += (double)s->kept[i].p;
    return sum;
}

int sampler_pick(struct sampler *s, const float *logits)
{
    int n = select_candidates(s, logits, false);
    if (n == 0)
        return -1;
    double at = random_unit(&s->random) * weight_of(s, n);
    int i = 0;
    for (; i < n - 1 && at >= (double)s->kept[i].p; i++)
        at -= (double)s->kept[i].p;
    remember(s, s->kept[i].id, true);
    return s->kept[i].id;
}

size_t sampler_candidates(struct sampler *s, const float *logits, struct candidate *out, size_t room)
{
    int n = select_candidates(s, logits, true);
    double sum = weight_of(s, n);
    for (int i = 0; i < n && (size_t)i < room; i++)
        out[i] = (struct candidate){s->kept[i].id, (float)((double)s->kept[i].p / sum)};
    return (size_t)n;
}
