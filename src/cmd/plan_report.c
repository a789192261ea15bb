#include "cmd/plan_report.h"

#include "base/catalog.h"
#include "cmd/human.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static double gib(uint64_t bytes)
{
    return (double)bytes / (double)PLAN_GIB;
}

static const char *shape_text(struct report *r, struct run_shape s)
{
    if (s.vcpu == 0)
        return report_text(r, "none: %d GiB", s.gib);
    return report_text(r, "%d vCPU, %d GiB", s.vcpu, s.gib);
}

static const char *tokens_per_second(struct report *r, const struct plan_option *o)
{
    return say_number_span(r, span_divides(1, o->answer.token));
}

/* --- what it is ---
 */

static const char *types_text(struct report *r, const struct census *c)
{
    const char *text = "";
    for (int i = 0; i < c->type_count; i++) {
        char bytes[HUMAN_TEXT];
        text = report_text(r, "%s%s%s %s", text, i ? ", " : "", c->types[i].name,
                           human_bytes(c->types[i].bytes, bytes));
    }
    return text;
}

static const char *what_it_does(const struct plan_model *m)
{
    if (!m->runs)
        return m->outline.type[0] ? m->outline.type : _("unknown architecture");
    return m->config.family == MODEL_QWEN2_AUDIO ? _("qwen2_audio: audio and text in, text out")
                                                 : _("qwen2: text in, text out");
}

static const char *parameters_text(struct report *r, uint64_t n)
{
    if (n >= 1000000000)
        return report_text(r, "%.2f billion parameters", (double)n / 1e9);
    return report_text(r, "%.3g million parameters", (double)n / 1e6);
}

static void report_model(struct report *r, const struct plan_view *v)
{
    const struct model_reading *m = v->reading;
    const struct census *c = &m->model.census;
    char size[HUMAN_TEXT], read[HUMAN_TEXT];
    struct report_section *s = report_section(r, "model", "Model", "|");
    REPORT_ROW(s, REPORT_PLAIN, NULL, _("is"),
               report_text(r, "%s; %s in %s tensors", what_it_does(&m->model),
                           parameters_text(r, c->parameters), say_count(r, (double)c->tensors)));
    const char *files = m->model.from_config ? _("no file of weights was read: as config.json describes it")
                                             : report_text(r, "%s in %" PRIu64 " file%s, of that %s",
                                                           human_bytes(c->file_bytes, size), c->files,
                                                           human_plural(c->files), types_text(r, c));
    REPORT_ROW(s, REPORT_PLAIN, NULL, _("weights"),
               m->model.from_config ? report_text(r, "%s; %s", types_text(r, c), files) : files);
    REPORT_ROW(s, REPORT_PLAIN, NULL, _("read for this"),
               report_text(r, "%s of config and headers", human_bytes(m->bytes_read, read)));
    if (m->why_not)
        report_note(s, report_text(r,
                                   "Ferry's own engine does not run it: %.300s. `ferry exec` pulls it as "
                                   "fast and starts another server with it; what that server takes beside "
                                   "weights and cache is not known here.",
                                   m->why_not));
}

/* --- encodings ---
 */

static const char *share_text(struct report *r, uint64_t bytes, const struct run_shape *s)
{
    return report_text(r, "%.0f %%", 100 * gib(bytes) / s->gib);
}

static const char *encoding_why(struct report *r, const struct plan_option *o)
{
    return report_text(r,
                       "%s of memory and %d %% of room: %d GiB, at least %s; the fewest vCPUs that write %d "
                       "tokens/s in the middle of "
                       "what is likely, or the most there are. A token reads %s bytes of weights",
                       say_gib(r, o->memory_bytes), RUN_MARGIN_PERCENT, run_gib_for(o->memory_bytes),
                       shape_text(r, o->least), PLAN_READING_TOKENS,
                       say_count(r, (double)encoded_token_bytes(&o->encoded)));
}

/* Another order of the same bytes. */
static bool is_as_stored(const struct plan *p, const struct plan_option *o)
{
    const struct plan_option *stored = &p->options[PLAN_STORED];
    return o != stored && o->encoded.tensor_bytes == stored->encoded.tensor_bytes;
}

static const char *recording_text(struct report *r, double seconds)
{
    return seconds > 0 ? report_text(r, "%s of audio", say_seconds(r, seconds)) : _("no audio");
}

static void report_encodings(struct report *r, const struct plan_view *v)
{
    const struct plan *p = v->plan;
    const struct plan_question *q = &p->question;
    struct report_section *s = report_section(
        r, "encodings", "Does it fit, and how fast is it there",
        N_("encoding|>weights|>memory|on Cloud Run|>of it|>first token, cold|>tokens/s|>a month"));
    for (int i = 0; i < PLAN_ENCODINGS; i++) {
        const struct plan_option *o = &p->options[i];
        char size[HUMAN_TEXT];
        if (!o->possible || (o != p->chosen && is_as_stored(p, o)))
            continue;
        bool fits = o->shape.vcpu > 0;
        REPORT_ROW(s,
                   o == p->chosen ? REPORT_CHOSEN
                   : fits         ? REPORT_PLAIN
                                  : REPORT_BAD,
                   encoding_why(r, o), tr(o->encoded.name),
                   report_text(r, "%s", human_bytes(o->encoded.file_bytes, size)),
                   say_gib(r, o->memory_bytes), shape_text(r, o->shape),
                   fits ? share_text(r, o->memory_bytes, &o->shape) : "",
                   say_seconds_span(r, o->cold.first_token), tokens_per_second(r, o),
                   say_usd_span(r, &v->money, o->month));
    }
    report_note(s,
                report_text(r,
                            "Cloud Run has 1, 2, 4, 6 or 8 vCPU and at most %d GiB. A month: %s requests a "
                            "day with %s and %d tokens of answer, %s.",
                            RUN_MOST_GIB, say_count(r, q->requests_per_day),
                            recording_text(r, q->audio_seconds), q->answer_tokens,
                            q->min_instances ? report_text(r, "%d instance%s kept", q->min_instances,
                                                           human_plural((uint64_t)q->min_instances))
                                             : _("nothing kept between them")));
    if (p->model.census.encoded)
        report_note(s, "It is a pack already; another encoding is made of the model itself.");
}

/* --- memory ---
 */

static const char *kv_why(struct report *r, const struct plan *p)
{
    const struct plan_question *q = &p->question;
    const struct text_config *t = &p->model.config.text;
    uint64_t token = plan_kv_token_bytes(t->layers, t->kv_heads, t->head_dim, q->kv);
    return report_text(
        r,
        "a token: 2 * %d layers * %d heads * %s = %s bytes; %d of them in blocks of %d, %d at a "
        "time. --context, --parallel and --kv q8 make it smaller",
        t->layers, t->kv_heads,
        q->kv == PLAN_KV_Q8 ? report_text(r, "(%d + 4)", t->head_dim)
                            : report_text(r, "%d * %d", t->head_dim, q->kv == PLAN_KV_F32 ? 4 : 2),
        say_count(r, (double)token), q->context, PLAN_KV_BLOCK, q->parallel);
}

static void report_foreign_memory(struct report *r, const struct plan *p, struct report_section *s)
{
    const struct plan_option *o = p->chosen;
    const struct model_outline *l = &p->model.outline;
    REPORT_ROW(s, REPORT_PLAIN, NULL, _("weights"), say_gib(r, o->memory.weights), "");
    if (l->plain_cache)
        REPORT_ROW(s, REPORT_PLAIN,
                   report_text(r,
                               "2 * %d layers * %d heads * %d * bytes of a value, as config.json says; "
                               "a server with its own way of keeping them may need less",
                               l->layers, l->kv_heads, l->head_dim),
                   _("KV cache"), say_gib(r, o->memory.kv),
                   report_text(r, "%d tokens, %d at a time, in %s", p->question.context, p->question.parallel,
                               plan_kv_names[p->question.kv]));
    else
        REPORT_ROW(s, REPORT_QUIET, NULL, _("KV cache"), _("unknown"),
                   _("config.json does not say what each layer keeps"));
    REPORT_ROW(s, REPORT_QUIET, NULL, _("the server itself"), _("unknown"), "");
}

static void report_own_memory(struct report *r, const struct plan *p, struct report_section *s)
{
    const struct plan_memory *m = &p->chosen->memory;
    const struct plan_question *q = &p->question;
    REPORT_ROW(s, REPORT_PLAIN,
               _("all files, headers and padding with them; read to where they are computed with"),
               _("weights"), say_gib(r, m->weights), _("one copy, no file"));
    REPORT_ROW(
        s, REPORT_PLAIN, kv_why(r, p), _("KV cache"), say_gib(r, m->kv),
        report_text(r, "%d tokens, %d at a time, in %s", q->context, q->parallel, plan_kv_names[q->kv]));
    REPORT_ROW(
        s, REPORT_PLAIN,
        report_text(r,
                    "activations of 512 tokens or a window of 30 s, rooms of %d threads, logits, a prompt "
                    "of %d tokens computed while weights arrive; without bf16 products, which take less",
                    RUN_MOST_VCPU, q->context < PLAN_PASS_ARRIVING ? q->context : PLAN_PASS_ARRIVING),
        _("scratch"), say_gib(r, m->scratch), "");
    if (m->requests)
        REPORT_ROW(
            s, REPORT_PLAIN,
            _("a second of audio: 43 kB as base64, 32 kB decoded, 64 kB of samples, 51 kB of mel frames (128 "
              "bins), and 25 tokens of features"),
            _("recordings"), say_gib(r, m->requests),
            report_text(r, "%s of audio each", say_seconds(r, q->audio_seconds)));
    REPORT_ROW(s, REPORT_PLAIN, _("two ranges of 8 MiB; 32 connections with 64 KiB each"), _("fetching"),
               say_gib(r, m->window), "");
    REPORT_ROW(s, REPORT_PLAIN,
               _("64 MiB; measured 2026-11-25: at most 33 MB beside weights and cache, with a vocabulary of "
                 "151,643; "
                 "and two tables of angles"),
               _("program"), say_gib(r, m->process), "");
}

static const char *of_limit(struct report *r, uint64_t bytes)
{
    return report_text(r, "of %d GiB: %s", RUN_MOST_GIB,
                       gib(bytes) < RUN_MOST_GIB * 0.95 ? _("fits")
                       : gib(bytes) < RUN_MOST_GIB
                           ? _("nothing left for the program, its activations and its cache")
                           : _("does not fit"));
}

/* Cloud Run's disk is Preview: at least 10 GiB, in some regions. Its price is the page's default region's. */
static void report_disk(struct report *r, const struct plan_view *v, struct report_section *s)
{
    enum { LEAST_GIB = 10, MOST_GIB = 100 };
    const struct plan *p = v->plan;
    const struct price *price = prices_find(v->prices, "run.ephemeral_disk");
    double wanted = ceil(gib(p->model.census.file_bytes) * 1.05);
    double disk = wanted > LEAST_GIB ? wanted : LEAST_GIB;
    if (!p->question.region->disk || disk > MOST_GIB)
        return;
    REPORT_ROW(
        s, REPORT_QUIET,
        report_text(r,
                    "memory for the weights alone; %.0f GiB of disk at %s an hour each (%s), for as long as "
                    "an instance is there; announced 2026-04-20, Preview",
                    disk, say_usd(r, &v->money, price->value), price->region),
        _("a copy on its disk, then a load"), say_gib(r, p->model.census.file_bytes),
        report_text(r, "and a disk of %.0f GiB (Preview), %s an hour", disk,
                    say_usd(r, &v->money, disk * price->value)));
}

static void report_memory(struct report *r, const struct plan_view *v)
{
    const struct plan *p = v->plan;
    struct report_section *s = report_section(r, "memory", "Memory", "|>|");
    if (p->model.runs)
        report_own_memory(r, p, s);
    else
        report_foreign_memory(r, p, s);
    REPORT_ROW(s, REPORT_CHOSEN, NULL, _("together"), say_gib(r, p->chosen->memory_bytes),
               p->chosen->shape.vcpu ? report_text(r, "%s: %s used", shape_text(r, p->chosen->shape),
                                                   share_text(r, p->chosen->memory_bytes, &p->chosen->shape))
                                     : plan_limit_text(r, p));
    REPORT_ROW(s, gib(p->tmp_then_load) < RUN_MOST_GIB * 0.95 ? REPORT_QUIET : REPORT_BAD,
               report_text(r, "2 * %s bytes: on Cloud Run files in /tmp are memory",
                           say_count(r, (double)p->model.census.file_bytes)),
               _("a copy in /tmp, then a load"), say_gib(r, p->tmp_then_load), of_limit(r, p->tmp_then_load));
    if (!p->model.from_config)
        REPORT_ROW(s, REPORT_QUIET, _("all weights and the largest file, each deleted once it is loaded"),
                   _("shard by shard"), say_gib(r, p->shard_by_shard), of_limit(r, p->shard_by_shard));
    report_disk(r, v, s);
    report_note(
        s, "The image does not count, and its size has no limit; about 10 GB is Google's advice for weights "
           "inside an image. Ferry's image has none.");
}

/* --- cold start ---
 */

static const char *measured_or(const struct plan *p, const char *assumed)
{
    return p->fetch_measured ? _("as measured there") : assumed;
}

static void report_cold_start(struct report *r, const struct plan_view *v)
{
    const struct plan *p = v->plan;
    const struct plan_option *o = p->chosen;
    const struct cold_start *c = &o->cold;
    struct report_section *s = report_section(r, "cold", "Cold start", "|>|");
    REPORT_ROW(s, REPORT_PLAIN, _("Google, \"A guide to AI cold starts on Cloud Run\", 2026-05"),
               _("container"), say_seconds_span(r, c->container),
               _("images are streamed, whatever their size"));
    REPORT_ROW(s, REPORT_PLAIN, _("assumed: a token, the listing, config, tokenizer, headers"), _("opening"),
               say_seconds_span(r, c->opening), "");
    REPORT_ROW(s, REPORT_PLAIN,
               report_text(r, "%s bytes at %s", say_count(r, (double)o->encoded.file_bytes),
                           p->fetch_measured ? say_rate(r, o->speed.fetch.least)
                                             : _("100 MB/s to 1 GB/s, assumed: Google publishes no number")),
               _("all weights there"), say_seconds_span(r, c->loaded),
               report_text(r, "%s to %s from the bucket, %s", say_rate(r, o->speed.fetch.least),
                           say_rate(r, o->speed.fetch.most), measured_or(p, _("assumed"))));
    if (p->model.runs) {
        REPORT_ROW(
            s, REPORT_CHOSEN,
            report_text(r,
                        "each part computes as soon as it is there; of the embedding only %.0f MB come "
                        "first, of the ranges that %d text tokens touch; then tower, decoder, head",
                        cold_start_embedding_bytes(&o->encoded, p->request.text_tokens) / 1e6,
                        p->request.text_tokens),
            _("first token"), say_seconds_span(r, c->first_token), _("computed while weights arrive"));
        REPORT_ROW(s, REPORT_QUIET, _("all weights, then encoder and prompt"), _("if it loaded first"),
                   say_seconds_span(r, c->load_first), "");
        REPORT_ROW(s, REPORT_PLAIN,
                   report_text(r, "first token and %d times %s", p->question.answer_tokens,
                               say_seconds_span(r, o->answer.token)),
                   _("answered"), say_seconds_span(r, c->answered), _("the request that woke it"));
    }
    report_note(s, report_text(r, "A startup probe that waits for all weights has %d s: %s of them need %s.",
                               RUN_PROBE_SECONDS, say_gib(r, o->encoded.file_bytes),
                               say_rate(r, cold_start_needed_fetch(o->encoded.file_bytes))));
}

/* --- answers ---
 */

static void report_answers(struct report *r, const struct plan_view *v)
{
    const struct plan *p = v->plan;
    const struct plan_option *o = p->chosen;
    const struct plan_question *q = &p->question;
    const struct model_config *c = &p->model.config;
    if (!p->model.runs)
        return;
    int prompt = plan_prompt_tokens(c, &p->request);
    const char *compute = report_text(r, "%s to %s GFLOP/s", say_count(r, o->speed.compute.least / 1e9),
                                      say_count(r, o->speed.compute.most / 1e9));
    struct report_section *s = report_section(r, "answers", "Once it is warm", "|>|");
    if (q->audio_seconds > 0)
        REPORT_ROW(s, REPORT_PLAIN,
                   report_text(r, "%s GFLOP at %s: %d vCPU, from AVX2 to AVX-512 with bf16",
                               say_count(r, plan_encoder_operations(c, q->audio_seconds) / 1e9), compute,
                               o->shape.vcpu),
                   _("hears"), say_seconds_span(r, o->answer.encode),
                   report_text(r, "%s of audio, %d tokens", say_seconds(r, q->audio_seconds),
                               plan_audio_tokens(c, q->audio_seconds)));
    REPORT_ROW(
        s, REPORT_PLAIN,
        report_text(r, "%s GFLOP at %s", say_count(r, plan_prefill_operations(c, prompt) / 1e9), compute),
        _("reads"), say_seconds_span(r, o->answer.prefill),
        report_text(r, "a prompt of %d tokens, %d of text assumed", prompt, p->request.text_tokens));
    REPORT_ROW(s, REPORT_PLAIN,
               report_text(r,
                           "%s bytes of weights and %s of cache, from memory at %s to %s%s, 90 %% of it used",
                           say_count(r, (double)encoded_token_bytes(&o->encoded)),
                           say_count(r, (double)plan_kv_token_bytes(c->text.layers, c->text.kv_heads,
                                                                    c->text.head_dim, q->kv) *
                                            (prompt + q->answer_tokens / 2)),
                           say_rate(r, o->speed.memory.least), say_rate(r, o->speed.memory.most),
                           p->memory_measured ? _(", measured there") : _(", assumed for an unknown host")),
               _("writes"), tokens_per_second(r, o), _("tokens a second, one answer at a time"));
    REPORT_ROW(s, REPORT_CHOSEN, NULL, _("a request"), say_seconds_span(r, o->answer.total),
               report_text(r, "%d tokens; %s a day at most, one after the other", q->answer_tokens,
                           say_from_span(r, p->capacity)));
    if (q->audio_seconds * c->mel.sample_rate * 2 * 4 / 3 > RUN_BODY_BYTES)
        report_note(s,
                    report_text(r,
                                "%s of 16-bit audio as base64 are more than the 32 MiB that Cloud Run lets "
                                "through over HTTP/1; send flac, ogg or mp3.",
                                say_seconds(r, q->audio_seconds)));
}

/* --- here ---
 */

static void report_here(struct report *r, const struct plan_view *v)
{
    const struct plan *p = v->plan;
    const struct measurement *memory = measurements_find(v->measured, MEASURED_MEMORY, "here", "");
    const struct measurement *fetch = measurements_find(v->measured, MEASURED_FETCH, "here", "");
    if (!memory && !fetch)
        return;
    struct report_section *s = report_section(r, "here", "On this machine", "|>|");
    if (fetch)
        REPORT_ROW(s, REPORT_PLAIN, NULL, _("from"), say_rate(r, fetch->per_second),
                   report_text(r, "%s, measured %s: all of it in %s", fetch->from, fetch->date,
                               say_seconds(r, (double)p->chosen->encoded.file_bytes / fetch->per_second)));
    if (memory)
        REPORT_ROW(s, REPORT_PLAIN, NULL, _("memory"), say_rate(r, memory->per_second),
                   report_text(r, "read by %d core%s, measured %s", memory->cores,
                               human_plural((uint64_t)memory->cores), memory->date));
    if (memory && p->model.runs) {
        struct plan_speed here = {.memory = span_of(memory->per_second)};
        struct span token = plan_token_seconds(&p->model.config, &p->chosen->encoded, p->question.kv,
                                               plan_prompt_tokens(&p->model.config, &p->request), 1, &here);
        REPORT_ROW(s, REPORT_PLAIN, NULL, _("writes"), say_number_span(r, span_divides(1, token)),
                   _("tokens a second, if the weights fit in memory"));
    }
}

/* --- deploy ---
 */

static const char *probe_text(struct report *r, const struct run_service *d)
{
    return report_text(
        r, "%s%d tries of %d s%s",
        d->probe.initial_delay_s ? report_text(r, "after %d s, ", d->probe.initial_delay_s) : "",
        d->probe.failure_threshold, d->probe.period_s,
        d->probe.enough ? ""
                        : _("; the slowest load that is expected takes longer than the documented 480 s"));
}

static void report_deploy(struct report *r, const struct plan_view *v)
{
    const struct run_service *d = &v->plan->service;
    if (!v->plan->model.runs || d->shape.vcpu == 0)
        return;
    struct report_section *s = report_section(r, "deploy", "What a deployment would ask for", "|");
    REPORT_ROW(s, REPORT_PLAIN, NULL, _("instance"),
               report_text(r, "%s, %d request%s at a time", shape_text(r, d->shape), d->concurrency,
                           human_plural((uint64_t)d->concurrency)));
    REPORT_ROW(s, REPORT_PLAIN,
               _("with request-based billing there is CPU only while an instance starts, stops and serves"),
               _("starts"),
               d->start == RUN_STREAM
                   ? _("answering at once: requests wait in it for the weights")
                   : _("when loaded: nobody calls while it is kept, and then it has no CPU to load with"));
    REPORT_ROW(s, REPORT_PLAIN,
               _("documented: tries * period at most 240 s, behind a delay of at most 240 s"),
               _("startup probe"), probe_text(r, d));
    REPORT_ROW(s, REPORT_PLAIN,
               _("the slowest load and as many answers as are worked on at a time; 300 s at least"),
               _("request timeout"), say_seconds(r, d->timeout_s));
    REPORT_ROW(s, REPORT_PLAIN, NULL, _("billing"), d->cpu_idle ? _("request-based") : _("instance-based"));
}

/* --- in short ---
 */

const char *plan_limit_text(struct report *r, const struct plan *p)
{
    struct run_shape least, most;
    for (int n = 0; p->question.vcpu && run_shape_limits(n, &least, &most); n++)
        if (most.vcpu == p->question.vcpu)
            return report_text(r, "%d vCPU have at most %d GiB", most.vcpu, most.gib);
    return report_text(r, "%d GiB is the most", RUN_MOST_GIB);
}

static const char *as_encoded(struct report *r, const struct plan_option *o)
{
    return strncmp(o->encoded.name, "as ", 3) == 0 ? tr(o->encoded.name)
                                                   : report_text(r, "as %s", o->encoded.name);
}

static const char *fits_text(struct report *r, const struct plan *p)
{
    const struct plan_option *o = p->chosen;
    const char *place = p->question.region->place;
    if (o->shape.vcpu == 0)
        return report_text(
            r,
            "It does not fit %s on Cloud Run's CPUs: %s needed, %s. The cache is %s of it: --kv q8, "
            "--context and --parallel make it smaller.",
            as_encoded(r, o), say_gib(r, o->memory_bytes), plan_limit_text(r, p), say_gib(r, o->memory.kv));
    return report_text(r, "It fits %s on Cloud Run in %s: %s, on %s.", as_encoded(r, o), place,
                       say_gib(r, o->memory_bytes), shape_text(r, o->shape));
}

/* What a smaller encoding would change. */
static void report_smaller(struct report *r, const struct plan_view *v, struct report_section *s)
{
    const struct plan *p = v->plan;
    const char *text = "";
    for (int i = PLAN_Q8_0; i < PLAN_ENCODINGS; i++) {
        const struct plan_option *o = &p->options[i];
        if (o->shape.vcpu == 0 || o == p->chosen || o->encoded.file_bytes >= p->chosen->encoded.file_bytes)
            continue;
        text = report_text(r, "%s%s %s: %s, first token %s, %s a month.", text, *text ? "" : _("Encoded as"),
                           o->encoded.name, say_gib(r, o->memory_bytes),
                           say_seconds_span(r, o->cold.first_token), say_usd_span(r, &v->money, o->month));
    }
    if (*text)
        report_note(s, report_text(r, "%s (`ferry stage --encode`)", text));
}

static void report_short(struct report *r, const struct plan_view *v)
{
    const struct plan *p = v->plan;
    const struct plan_option *o = p->chosen;
    struct report_section *s = report_section(r, "short", "In short", "|");
    report_note(s, report_text(r, "%s Copied to /tmp first and then loaded it would take %s.",
                               fits_text(r, p), say_gib(r, p->tmp_then_load)));
    if (p->model.runs && o->shape.vcpu)
        report_note(s, report_text(r, "From nothing to the first token %s; then %s tokens a second.%s",
                                   say_seconds_span(r, o->cold.first_token), tokens_per_second(r, o),
                                   p->fetch_measured && p->memory_measured
                                       ? ""
                                       : _(" These are ranges until they are measured there.")));
    if (o->shape.vcpu)
        report_note(
            s,
            report_text(
                r,
                "%s requests a day: %s a month when nothing is kept between them, %s with one instance kept "
                "warm; the bucket %s.",
                say_count(r, p->question.requests_per_day),
                say_usd_span(r, &v->money, p->ways[COST_SCALE_TO_ZERO]),
                say_usd_span(r, &v->money, p->ways[COST_MIN_INSTANCES]),
                say_usd(r, &v->money, plan_storage_month(p))));
    report_smaller(r, v, s);
}

static const char *tier_text(enum price_tier t)
{
    return t == TIER_1   ? _("a region of tier 1")
           : t == TIER_2 ? _("a region of tier 2")
                         : _("a region of unknown tier");
}

/* How far what was said before was off. */
static void report_past(struct report *r, const struct plan_view *v, struct report_section *s)
{
    const struct predictions *p = v->predictions;
    int held = 0;
    double sum = 0, most = 0;
    for (int i = 0; i < p->count; i++) {
        double off = fabs(prediction_error_percent(&p->items[i]));
        held += prediction_holds(&p->items[i]);
        sum += off;
        most = fmax(most, off);
    }
    if (p->count)
        report_note(s, report_text(r,
                                   "Earlier plans of this model or region: %d of %d numbers measured since "
                                   "%s lay within their range; %.0f %% off its middle on average, %.0f %% at "
                                   "most.",
                                   held, p->count, p->items[0].of.date, sum / p->count, most));
}

static const char *yen_text(struct report *r, const struct plan_view *v)
{
    if (v->money.yen_per_usd == 0)
        return "";
    return v->rate_given
               ? report_text(r,
                             "; yen at %g to the dollar, the rate given with --rate. Google sets its "
                             "own prices in yen",
                             v->money.yen_per_usd)
               : report_text(r, "; yen at %g to the dollar, Google's own rate of that day",
                             v->money.yen_per_usd);
}

static void report_prices(struct report *r, const struct plan_view *v, struct report_section *s)
{
    const struct price_news *n = v->news;
    if (n->found > 0)
        report_note(
            s,
            report_text(r,
                        "Prices: %d of Cloud Run, the bucket and the images from the Cloud Billing Catalog, "
                        "%s; those of machines, disks, GPUs and all others from the snapshot in this "
                        "program, newest source %s; %s, US dollars without tax%s.",
                        n->found, n->date, prices_date(v->prices), tier_text(v->plan->tier), yen_text(r, v)));
    else
        report_note(s, report_text(r, "Prices: %s, newest source %s, %s, US dollars without tax%s.",
                                   v->prices_from ? v->prices_from : _("the snapshot in this program"),
                                   prices_date(v->prices), tier_text(v->plan->tier), yen_text(r, v)));
    if (*n->others)
        report_note(s,
                    report_text(r, "Not found in the catalog, and therefore the snapshot's: %s.", n->others));
    if (n->problem.kind)
        report_note(s, report_text(r, "Today's prices could not be had: %s.", n->problem.text));
}

static void report_assumptions(struct report *r, const struct plan_view *v)
{
    const struct plan *p = v->plan;
    struct report_section *s = report_section(r, "assumptions", "What this rests on", "|");
    report_prices(r, v, s);
    if (v->japanese_locale && v->money.yen_per_usd == 0)
        report_note(
            s,
            "Amounts in yen: --rate YEN_PER_DOLLAR. The snapshot has no exchange rate, and none is made up.");
    report_note(s, report_text(r,
                               "Speeds of a vCPU and of the way from the bucket are published nowhere: %s. "
                               "`ferry plan --measure`, run in a Cloud Run job, replaces them; so does "
                               "the first question of `ferry deploy`, for the bucket.",
                               p->fetch_measured || p->memory_measured
                                   ? _("measured where it says so, else ranges")
                                   : _("ranges")));
    report_past(r, v, s);
    report_note(
        s, report_text(r,
                       "Traffic: random, around the clock, one answer at a time, 25 tokens for a second of "
                       "audio, %d text tokens in a prompt.",
                       PLAN_TEXT_TOKENS));
    report_note(s, "--explain tells how each number comes about.");
}

void plan_report(struct report *r, const struct plan_view *v)
{
    const struct model_reading *m = v->reading;
    r->title =
        report_text(r, "%s%s%.12s in %s (%s)", m->uri, m->commit ? " at " : "", m->commit ? m->commit : "",
                    v->plan->question.region->name, v->plan->question.region->place);
    report_short(r, v);
    report_model(r, v);
    report_encodings(r, v);
    report_memory(r, v);
    report_cold_start(r, v);
    report_answers(r, v);
    report_here(r, v);
    report_costs(r, v);
    report_storage(r, v);
    report_gpus(r, v);
    report_deploy(r, v);
    report_elsewhere(r, v);
    report_assumptions(r, v);
}
