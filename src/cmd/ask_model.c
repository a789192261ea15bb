/* ask_model.c: the question to a loaded model, computed in this process by the same parts as the service. */
#include "cmd/ask.h"
#include "serve/prepare.h"
#include "serve/scheduler.h"

#include <errno.h>
#include <semaphore.h>
#include <string.h>
#include <time.h>

/* Between the scheduler's thread and the one that waits. */
struct listening {
    struct answer *out;
    sem_t ended; /* the last event was there; everything else may be read then */
    struct err write_err;
    struct err failed;
    struct scheduler *scheduler;
    struct generation *generation;
};

static const char *const finish_names[] = {[FINISH_STOP] = "stop", [FINISH_LENGTH] = "length"};

static void take_event(void *arg, const struct event *event)
{
    struct listening *l = arg;
    struct answer *a = l->out;

    switch (event->kind) {
    case EVENT_STARTED:
        return;
    case EVENT_TEXT:
        if (l->write_err.kind == ERR_NONE && !answer_text(a, event->text, event->text_size, &l->write_err))
            scheduler_cancel(l->scheduler, l->generation);
        return;
    case EVENT_FINISH:
        snprintf(a->finish, sizeof a->finish, "%s", finish_names[event->finish]);
        return;
    case EVENT_FAILED:
        l->failed = *event->err;
        break;
    case EVENT_DONE:
        a->prompt_tokens = event->stats.prompt_tokens;
        a->completion_tokens = event->stats.completion_tokens;
        break;
    }
    sem_post(&l->ended);
}

/* Until the last event; Ctrl-C cancels the generation, which then ends within a token. */
static void wait_for_end(struct listening *l, const volatile sig_atomic_t *stop)
{
    for (;;) {
        struct timespec soon;
        clock_gettime(CLOCK_REALTIME, &soon);
        soon.tv_nsec += 100000000;
        soon.tv_sec += soon.tv_nsec / 1000000000;
        soon.tv_nsec %= 1000000000;
        if (sem_timedwait(&l->ended, &soon) == 0)
            return;
        if (stop && *stop)
            scheduler_cancel(l->scheduler, l->generation);
    }
}

static bool generate(const struct ask *q, struct loaded_model *m, const struct generation_spec *spec,
                     struct answer *out, struct err *e)
{
    struct listening l = {.out = out};

    sem_init(&l.ended, 0, 0);
    l.scheduler = scheduler_new(m, 1, e);
    l.generation = l.scheduler ? generation_new(spec, (struct sink){take_event, &l}, e) : NULL;
    bool ok = l.generation && scheduler_submit(l.scheduler, l.generation, e);
    if (ok) {
        wait_for_end(&l, q->stop);
        const struct err *failed = l.write_err.kind != ERR_NONE ? &l.write_err : &l.failed;
        ok = failed->kind == ERR_NONE;
        if (failed->kind == ERR_CANCELLED)
            err_set(e, ERR_CANCELLED, "interrupted");
        else if (!ok && e)
            *e = *failed;
    }
    generation_free(l.generation);
    scheduler_free(l.scheduler);
    sem_destroy(&l.ended);
    return ok;
}

/* The settings as a request: parts must hold one entry per recording and one for the question. */
static void fill_request(struct chat_request *r, const struct ask *q, struct request_message *messages,
                         struct request_part *parts)
{
    const struct ask_settings *s = &q->settings;
    struct request_part *system = parts++;
    int n = 0;

    if (s->system) {
        *system = (struct request_part){.text = s->system, .text_size = strlen(s->system)};
        messages[r->message_count++] = (struct request_message){"system", system, 1};
    }
    for (int i = 0; i < q->audio_count; i++)
        parts[n++] = (struct request_part){.audio = q->audio[i].bytes, .audio_size = q->audio[i].size};
    if (q->question)
        parts[n++] = (struct request_part){.text = q->question, .text_size = strlen(q->question)};
    messages[r->message_count++] = (struct request_message){"user", parts, n};
    r->messages = messages;
    r->max_tokens = s->max_tokens;
    r->has_seed = s->seed != ASK_SEED_UNSET;
    r->sampling.seed = (uint64_t)s->seed;
    if (s->temperature >= 0)
        r->sampling.temperature = (float)s->temperature;
}

bool ask_model(const struct ask *q, struct loaded_model *m, struct answer *out, struct err *e)
{
    struct request_message messages[2];
    struct request_part parts[OPTION_LIST_MAX + 2];
    struct prepared p = {0};
    struct chat_request r;
    struct api_error refused = {0};
    bool ok = false;

    snprintf(out->model, sizeof out->model, "%s", m->model.name);
    chat_request_init(&r, &m->model.config);
    fill_request(&r, q, messages, parts);
    if (prepare_chat(&p, m, &r, &refused)) {
        struct generation_spec spec = prepared_spec(&p, &r);
        for (int i = 0; i < p.warning_count; i++)
            answer_warning(out, p.warnings[i]);
        out->audio_tokens = p.audio_tokens;
        ok = generate(q, m, &spec, out, e);
    } else if (e) {
        *e = refused.err;
    }
    prepared_clear(&p);
    return ok;
}
