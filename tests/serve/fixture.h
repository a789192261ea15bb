/* fixture.h: the tiny model and what the goldens say of it. Any failure fails the test. */
#ifndef FERRY_TESTS_SERVE_FIXTURE_H
#define FERRY_TESTS_SERVE_FIXTURE_H

#include "serve/loaded_model.h"
#include "serve/prepare.h"
#include "serve/scheduler.h"

#include <pthread.h>

#define TINY "data/models/tiny-qwen2-audio"

void open_tiny(struct loaded_model *m, int parallel, int context);

/* A whole file; the caller frees. */
char *read_whole(const char *path, size_t *size);

/* The goldens' greedy text of a case; the caller frees. */
char *golden_text(const char *name);

/* A greedy request without penalty: one user message of this text and, unless NULL, this golden recording. */
struct question {
    struct chat_request request;
    struct request_message message;
    struct request_part parts[2];
    char *audio;
    struct prepared prepared;
};
void question_init(struct question *q, const struct loaded_model *m, const char *text, const char *audio,
                   int max_tokens);
void question_clear(struct question *q);

/* Collects a generation's events; wait_last waits for the last one. */
struct heard {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int texts, finishes, started;
    bool done, failed;
    struct err err;
    struct generation_stats stats;
    struct {
        char text[65536];
        size_t size;
        enum finish_reason finish;
        int tokens, reports;
    } choices[8];
};
struct heard *heard_new(void);
void heard_free(struct heard *h);
struct sink heard_sink(struct heard *h);
void wait_last(struct heard *h);
void wait_text(struct heard *h, int texts); /* until so many EVENT_TEXT, or the last event */

#endif
