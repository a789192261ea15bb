#include "fixture.h"

#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void open_tiny(struct loaded_model *m, int parallel, int context)
{
    struct engine_options o = {.math = MATH_EXACT, .parallel = parallel, .context = context};
    struct err e = {0};
    if (!loaded_model_open(m, TINY, 1, &o, &e))
        fail_msg("%s", e.text);
}

char *read_whole(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("%s is missing", path);
    fseek(f, 0, SEEK_END);
    *size = (size_t)ftell(f);
    rewind(f);
    char *bytes = malloc(*size + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *size, f), *size);
    bytes[*size] = '\0';
    fclose(f);
    return bytes;
}

char *golden_text(const char *name)
{
    char path[200];
    json_error_t why;
    snprintf(path, sizeof path, "data/goldens/%s/case.json", name);
    json_t *c = json_load_file(path, 0, &why);
    if (!c)
        fail_msg("%s: %s", path, why.text);
    char *text = strdup(json_string_value(json_object_get(json_object_get(c, "greedy"), "text")));
    json_decref(c);
    return text;
}

void question_init(struct question *q, const struct loaded_model *m, const char *text, const char *audio,
                   int max_tokens)
{
    *q = (struct question){0};
    chat_request_init(&q->request, &m->model.config);
    q->request.sampling.temperature = 0;
    q->request.sampling.repetition_penalty = 1;
    q->request.max_tokens = max_tokens;
    q->message = (struct request_message){.role = "user", .parts = q->parts, .part_count = 1};
    q->request.messages = &q->message;
    q->request.message_count = 1;
    if (audio) {
        char path[200];
        snprintf(path, sizeof path, "data/goldens/audio/%s", audio);
        q->audio = read_whole(path, &q->parts[0].audio_size);
        q->parts[0].audio = q->audio;
        q->message.part_count = 2;
    }
    struct request_part *words = &q->parts[q->message.part_count - 1];
    words->text = text;
    words->text_size = strlen(text);
    struct api_error e = {0};
    if (!prepare_chat(&q->prepared, m, &q->request, &e))
        fail_msg("%s", e.err.text);
}

void question_clear(struct question *q)
{
    prepared_clear(&q->prepared);
    free(q->audio);
}

struct heard *heard_new(void)
{
    struct heard *h = calloc(1, sizeof *h);
    assert_non_null(h);
    pthread_mutex_init(&h->mutex, NULL);
    pthread_cond_init(&h->changed, NULL);
    return h;
}

void heard_free(struct heard *h)
{
    pthread_mutex_destroy(&h->mutex);
    pthread_cond_destroy(&h->changed);
    free(h);
}

static void hear_text(struct heard *h, const struct event *e)
{
    size_t n = h->choices[e->choice].size;
    h->texts++;
    h->choices[e->choice].reports += e->token_count;
    if (e->text_size < sizeof h->choices[0].text - n) {
        memcpy(h->choices[e->choice].text + n, e->text, e->text_size + 1);
        h->choices[e->choice].size += e->text_size;
    }
}

static void hear(void *arg, const struct event *e)
{
    struct heard *h = arg;
    pthread_mutex_lock(&h->mutex);
    h->started += e->kind == EVENT_STARTED;
    if (e->kind == EVENT_TEXT) {
        hear_text(h, e);
    } else if (e->kind == EVENT_FINISH) {
        h->finishes++;
        h->choices[e->choice].finish = e->finish;
        h->choices[e->choice].tokens = e->choice_tokens;
    } else if (e->kind == EVENT_DONE || e->kind == EVENT_FAILED) {
        h->done = true;
        h->failed = e->kind == EVENT_FAILED;
        h->stats = e->stats;
        if (h->failed)
            h->err = *e->err;
    }
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->mutex);
}

struct sink heard_sink(struct heard *h)
{
    return (struct sink){hear, h};
}

void wait_text(struct heard *h, int texts)
{
    pthread_mutex_lock(&h->mutex);
    while (h->texts < texts && !h->done)
        pthread_cond_wait(&h->changed, &h->mutex);
    pthread_mutex_unlock(&h->mutex);
}

void wait_last(struct heard *h)
{
    wait_text(h, INT32_MAX);
}
