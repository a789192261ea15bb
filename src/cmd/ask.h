/* ask.h: `ferry ask`, in the process or over HTTP; ask.c reads the command line and picks one. */
#ifndef FERRY_CMD_ASK_H
#define FERRY_CMD_ASK_H

#include "base/arena.h"
#include "base/err.h"
#include "cmd/answer.h"
#include "cmd/engine_options.h"
#include "cmd/option.h"
#include "net/http.h"

#include <signal.h>
#include <stdbool.h>

enum { ASK_MAX_FILE_BYTES = 64 << 20, ASK_SEED_UNSET = -1 };

struct ask_settings {
    struct engine_settings engine; /* first: engine_group's offsets count from here */
    struct text_list audio;        /* files */
    const char *system;            /* NULL: the model's own words */
    const char *model;             /* what a service should answer with; NULL: the first it lists */
    const char *api_key;
    int max_tokens;     /* 0: as many as fit */
    int seed;           /* ASK_SEED_UNSET: drawn */
    double temperature; /* below 0: the model's own */
    bool json, stats;
};

/* One recording, whole. */
struct ask_audio {
    const char *path;
    const char *bytes;
    size_t size;
};

struct ask {
    struct ask_settings settings;
    const char *target;   /* folder or URL */
    const char *question; /* NULL: the recordings speak for themselves */
    struct ask_audio audio[OPTION_LIST_MAX];
    int audio_count;
    const volatile sig_atomic_t *stop; /* Ctrl-C */
};

/* Each asks, streams into the answer and returns when it is complete. The arena is scratch. */
bool ask_model(const struct ask *q, struct loaded_model *m, struct answer *out, struct err *e);
bool ask_url(const struct ask *q, struct arena *a, struct answer *out, struct err *e);

/* The first model that the service at `base` lists; q: how it is asked. In the arena. NULL with *e set. */
char *ask_first_model(struct http *h, struct http_request q, struct arena *a, const char *base,
                      struct err *e);

/* Posts ask_json's text to q->url (a service's chat/completions) and streams into the answer. Any thread. */
bool ask_send(struct http *h, const struct http_request *q, const char *json, struct answer *out,
              struct err *e);

/* The request as JSON in OpenAI's form, from malloc. model goes into it. NULL with *e set: a recording in a
 * format that the API has no name for, a question that is not UTF-8, no memory. */
char *ask_json(const struct ask *q, const char *model, struct err *e);

/* "wav", "mp3", "flac" or "ogg" by the file's first bytes, else NULL. */
const char *ask_audio_format(const char *bytes, size_t size);

#endif
