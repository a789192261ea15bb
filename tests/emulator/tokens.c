#include "tokens.h"

#include "run_emulator.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEAD = 64 };

struct tokens {
    pthread_mutex_t mutex;
    uint64_t count;
    char dead[MAX_DEAD][TOKEN_ROOM];
    int dead_count;
};

struct tokens *tokens_new(void)
{
    struct tokens *t = calloc(1, sizeof *t);
    if (t)
        pthread_mutex_init(&t->mutex, NULL);
    return t;
}

void tokens_free(struct tokens *t)
{
    if (!t)
        return;
    pthread_mutex_destroy(&t->mutex);
    free(t);
}

/* FNV-1a. */
void keyed_hash(const char *text, char out[17])
{
    uint64_t h = UINT64_C(14695981039346656037) ^ UINT64_C(0x5eed0fe3a1a70e11);
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * UINT64_C(1099511628211);
    snprintf(out, 17, "%016llx", (unsigned long long)h);
}

void token_issue(struct tokens *t, int64_t now_us, int seconds, char out[TOKEN_ROOM])
{
    char text[50], hash[17];
    pthread_mutex_lock(&t->mutex);
    uint64_t n = ++t->count;
    pthread_mutex_unlock(&t->mutex);
    snprintf(text, sizeof text, "%lld.%llu", (long long)(now_us + (int64_t)seconds * 1000000),
             (unsigned long long)n);
    keyed_hash(text, hash);
    snprintf(out, TOKEN_ROOM, "ya29.%s.%s", text, hash);
}

static bool is_dead(struct tokens *t, const char *token)
{
    bool dead = false;
    pthread_mutex_lock(&t->mutex);
    for (int i = 0; i < t->dead_count; i++)
        dead = dead || !strcmp(t->dead[i], token);
    pthread_mutex_unlock(&t->mutex);
    return dead;
}

static bool is_issued(const char *token, int64_t now_us)
{
    char text[TOKEN_ROOM], hash[17];
    const char *last = strrchr(token, '.');
    if (strncmp(token, "ya29.", 5) || !last || last < token + 5 || last - token > 60)
        return false;
    snprintf(text, sizeof text, "%.*s", (int)(last - token - 5), token + 5);
    keyed_hash(text, hash);
    return !strcmp(hash, last + 1) && strtoll(text, NULL, 10) > now_us;
}

bool token_good(struct tokens *t, const char *token, int64_t now_us)
{
    return (!strcmp(token, EMULATOR_TOKEN) || is_issued(token, now_us)) && !is_dead(t, token);
}

void token_kill(struct tokens *t, const char *token)
{
    pthread_mutex_lock(&t->mutex);
    if (token && t->dead_count < MAX_DEAD)
        snprintf(t->dead[t->dead_count++], TOKEN_ROOM, "%s", token);
    pthread_mutex_unlock(&t->mutex);
}
