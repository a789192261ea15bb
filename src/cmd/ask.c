/* ask.c: `ferry ask`, its command line. */
#include "cmd/ask.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "cmd/commands.h"
#include "cmd/google.h"
#include "cmd/interrupt.h"
#include "cmd/model_source.h"
#include "cmd/service_client.h"
#include "cmd/service_name.h"

#include <pthread.h>
#include <string.h>

static const struct option ask_options[] = {
    {.name = "audio",
     .letter = 'a',
     .type = OPTION_LIST,
     .argument = "FILE",
     .offset = offsetof(struct ask_settings, audio),
     .help = "a recording that belongs to the question (wav, mp3, flac, ogg); may be given several times"},
    {.name = "system",
     .letter = 's',
     .type = OPTION_TEXT,
     .argument = "TEXT",
     .offset = offsetof(struct ask_settings, system),
     .help = "who the model is to be; its own words unless told"},
    {.name = "max-tokens",
     .letter = 'n',
     .type = OPTION_INT,
     .argument = "N",
     .min = 1,
     .max = 1 << 24,
     .offset = offsetof(struct ask_settings, max_tokens),
     .help = "longest answer, in tokens; as long as fits unless told"},
    {.name = "temperature",
     .letter = 't',
     .type = OPTION_REAL,
     .argument = "T",
     .max = 2,
     .offset = offsetof(struct ask_settings, temperature),
     .help = "0 always takes the likeliest token, more is more daring; the model's own unless told"},
    {.name = "seed",
     .type = OPTION_INT,
     .argument = "N",
     .max = 2147483647,
     .offset = offsetof(struct ask_settings, seed),
     .help = "the same seed, question and machine give the same answer"},
    {.name = "model",
     .type = OPTION_TEXT,
     .argument = "NAME",
     .offset = offsetof(struct ask_settings, model),
     .help = "which of a service's models to ask; the first it lists unless told"},
    {.name = "json",
     .type = OPTION_FLAG,
     .offset = offsetof(struct ask_settings, json),
     .help = "print one JSON object with the answer, its token counts and times, at the end"},
    {.name = "stats",
     .type = OPTION_FLAG,
     .offset = offsetof(struct ask_settings, stats),
     .help = "say on stderr how fast it was, even when that is no terminal"},
    {.type = OPTION_TEXT,
     .env = "FERRY_API_KEY",
     .offset = offsetof(struct ask_settings, api_key),
     .help = "the key that a service asks for"},
};

static bool read_audio(struct ask *q, struct arena *a, struct err *e)
{
    for (int i = 0; i < q->settings.audio.count; i++) {
        struct ask_audio *audio = &q->audio[q->audio_count++];
        audio->path = q->settings.audio.items[i];
        audio->bytes = file_read(a, audio->path, ASK_MAX_FILE_BYTES, &audio->size, e);
        if (!audio->bytes)
            return false;
    }
    return true;
}

/* "-" stands for all of stdin. */
static bool read_question(struct ask *q, const char *operand, struct arena *a, struct err *e)
{
    enum { MAX = 1 << 20 };
    q->question = operand;
    if (!operand || strcmp(operand, "-") != 0)
        return true;
    char *text = arena_alloc(a, MAX + 1, 1);
    if (!text)
        return err_set(e, ERR_MEMORY, "no memory for the question");
    size_t size = fread(text, 1, MAX, stdin);
    if (ferror(stdin))
        return err_errno(e, "cannot read the question from stdin");
    if (size == MAX || memchr(text, 0, size))
        return err_set(e, ERR_LIMIT, "stdin: expected a question of less than %d bytes of text", MAX);
    q->question = text;
    return true;
}

/* The weights on their way, on a thread of their own. */
struct bringing {
    struct model_source *source;
    pthread_t thread;
};

static void *bring(void *arg)
{
    struct bringing *b = arg;
    struct err e = {0};
    model_source_bring(b->source, &e); /* who needs what does not come is told by the arrival */
    return NULL;
}

static bool ask_opened(struct ask *q, struct loaded_model *m, struct model_source *source, struct answer *out,
                       struct err *e)
{
    const struct ask_settings *s = &q->settings;
    struct bringing b = {.source = source};
    if (pthread_create(&b.thread, NULL, bring, &b) != 0)
        return err_set(e, ERR_MEMORY, "cannot start the thread that loads the model");
    q->stop = interrupt_watch();
    bool ok = answer_open(out, s->json, s->stats, e) && ask_model(q, m, out, e) && answer_end(out, e);
    model_source_stop(source); /* what no answer needed need not come */
    pthread_join(b.thread, NULL);
    return ok;
}

/* Until the engine stands Ctrl-C ends the process as it always does. */
static bool ask_here(struct ask *q, struct answer *out, struct err *e)
{
    struct loaded_model m = {0};
    struct arrival *arrival = arrival_new(clock_ms(), e);
    struct model_source *source = arrival ? model_source_new(q->target, arrival, e) : NULL;
    bool ok = source && model_source_open(source, &m, &q->settings.engine, 1, e) &&
              ask_opened(q, &m, source, out, e);
    loaded_model_close(&m);
    model_source_free(source);
    arrival_free(arrival);
    return ok;
}

static bool ask_service(struct ask *q, struct arena *a, struct answer *out, struct err *e)
{
    const struct ask_settings *s = &q->settings;
    q->stop = interrupt_watch();
    return answer_open(out, s->json, s->stats, e) && ask_url(q, a, out, e) && answer_end(out, e);
}

/* A service's name becomes its address, and its key the one that is sent. */
static bool find_service(struct ask *q, struct arena *a, struct err *e)
{
    struct target_service s;
    enum service_found found = service_by_name(q->target, a, &s, e);
    if (found != SERVICE_FOUND)
        return found == SERVICE_NONE;
    char *identity = arena_alloc(a, GOOGLE_IDENTITY_BYTES, 1);
    if (!identity)
        return err_set(e, ERR_MEMORY, "no memory");
    if (!s.url)
        return err_set(e, ERR_BUSY, "%s has no address: %s", s.name, s.problem ? s.problem : s.state);
    if (!google_identity(&s, identity, e))
        return false;
    q->identity = *identity ? identity : NULL;
    q->target = s.url;
    return service_key(&s, q->settings.api_key, a, &q->settings.api_key, e);
}

static bool ask(struct ask *q, const char *operand, struct arena *a, struct err *e)
{
    struct answer answer = {0};

    if (!operand && q->settings.audio.count == 0)
        return err_set(e, ERR_USAGE,
                       "what is the question? put it behind %s, or give a recording with --audio", q->target);
    if (!read_question(q, operand, a, e) || !read_audio(q, a, e) || !find_service(q, a, e))
        return false;
    bool ok = service_is_url(q->target) ? ask_service(q, a, &answer, e) : ask_here(q, &answer, e);
    answer_close(&answer);
    return ok;
}

static bool run_ask(const struct command *c, char **args, int count, struct err *e)
{
    struct ask q = {.settings = {.engine = ENGINE_SETTINGS_UNSET, .seed = ASK_SEED_UNSET, .temperature = -1}};
    struct operands o;

    if (!options_read(c, args, count, &q.settings, &o, e))
        return false;
    if (o.help) {
        help_command(stdout, c);
        return true;
    }
    if (o.count == 0)
        return err_set(e, ERR_USAGE, "whom? usage: ferry ask %s", c->synopsis);
    log_set_level(LOG_ERROR); /* the answer is what counts here */
    struct arena *a = arena_new((size_t)OPTION_LIST_MAX * ASK_MAX_FILE_BYTES);
    if (!a)
        return err_set(e, ERR_MEMORY, "no memory");
    q.target = o.items[0];
    bool ok = ask(&q, o.count > 1 ? o.items[1] : NULL, a, e);
    arena_free(a);
    return ok;
}

static const struct option_group ask_group = {"Options", ask_options,
                                              sizeof ask_options / sizeof *ask_options};
static const struct option_group *const ask_groups[] = {&ask_group, &engine_group, NULL};

static const char *const ask_examples[] = {
    "ferry ask http://localhost:8080 --audio question.wav",
    "a service, a spoken question",
    "ferry ask demo \"How many digits?\" --audio samples/digits-en.wav",
    "a service by the name it was deployed under",
    "ferry ask ~/models/Qwen2-Audio-7B-Instruct --audio call.mp3 \"What does the caller want?\"",
    "a model folder, without a service",
    "git log -5 | ferry ask https://ferry.example.org -s \"Summarize.\" -",
    "the question from stdin",
    NULL,
};

const struct command command_ask = {
    .name = "ask",
    .synopsis = "FOLDER|URI|NAME|URL [QUESTION] [--audio FILE] [options]",
    .summary = "ask one question, in writing or by voice",
    .about =
        "Asks a service (its URL, or NAME of `ferry deploy`), or a model in a folder, a bucket (gs://…) or "
        "on "
        "the hub (hf://…), which is then loaded and computed in this process, and prints the answer as it "
        "comes. A QUESTION of - is read from stdin. At a terminal the time to the first text and the tokens "
        "per second follow on stderr. The options under Engine are for a model.",
    .examples = ask_examples,
    .groups = ask_groups,
    .max_operands = 2,
    .run = run_ask,
};
