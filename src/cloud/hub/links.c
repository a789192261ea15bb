#include "cloud/hub/links.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Files that are read at one time, with room to spare; the one used longest ago makes room. */
enum { MAX_LINKS = 64 };

struct entry {
    char *key, *url; /* url NULL: not known */
    bool asking;     /* a thread is at it */
    int users;       /* threads that look at it: it stays */
    uint64_t used;
};

struct links {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct entry entries[MAX_LINKS];
    uint64_t clock;
};

struct links *links_new(void)
{
    struct links *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    pthread_mutex_init(&l->mutex, NULL);
    pthread_cond_init(&l->changed, NULL);
    return l;
}

static void clear_entry(struct entry *x)
{
    free(x->key);
    free(x->url);
    *x = (struct entry){.key = NULL};
}

void links_free(struct links *l)
{
    if (!l)
        return;
    for (int i = 0; i < MAX_LINKS; i++)
        clear_entry(&l->entries[i]);
    pthread_cond_destroy(&l->changed);
    pthread_mutex_destroy(&l->mutex);
    free(l);
}

static struct entry *find_locked(struct links *l, const char *key)
{
    for (int i = 0; i < MAX_LINKS; i++)
        if (l->entries[i].key && strcmp(l->entries[i].key, key) == 0)
            return &l->entries[i];
    return NULL;
}

/* The free one, or the one used longest ago that nobody looks at. NULL: all are in use, or no memory. */
static struct entry *make_locked(struct links *l, const char *key)
{
    struct entry *oldest = NULL;
    for (int i = 0; i < MAX_LINKS; i++) {
        struct entry *x = &l->entries[i];
        if (!x->users && (!oldest || x->used < oldest->used))
            oldest = x;
    }
    if (!oldest)
        return NULL;
    clear_entry(oldest);
    oldest->key = strdup(key);
    return oldest->key ? oldest : NULL;
}

/* With the mutex open while the hub answers. */
static bool ask_locked(struct links *l, struct entry *x, link_fn fn, void *arg, char url[LINK_ROOM],
                       struct err *e)
{
    x->asking = true;
    pthread_mutex_unlock(&l->mutex);
    bool ok = fn(arg, url, e);
    pthread_mutex_lock(&l->mutex);
    x->asking = false;
    if (ok)
        x->url = strdup(url); /* NULL: the next one asks again */
    pthread_cond_broadcast(&l->changed);
    return ok;
}

bool links_get(struct links *l, const char *key, link_fn fn, void *arg, char url[LINK_ROOM], struct err *e)
{
    pthread_mutex_lock(&l->mutex);
    struct entry *x = find_locked(l, key);
    if (!x)
        x = make_locked(l, key);
    if (!x) { /* more files at a time than there are entries: each asks for itself */
        pthread_mutex_unlock(&l->mutex);
        return fn(arg, url, e);
    }
    bool ok = true;
    x->users++;
    x->used = ++l->clock;
    while (x->asking)
        pthread_cond_wait(&l->changed, &l->mutex);
    if (x->url)
        memcpy(url, x->url, strlen(x->url) + 1);
    else
        ok = ask_locked(l, x, fn, arg, url, e);
    x->users--;
    pthread_mutex_unlock(&l->mutex);
    return ok;
}

void links_drop(struct links *l, const char *key, const char *url)
{
    pthread_mutex_lock(&l->mutex);
    struct entry *x = find_locked(l, key);
    if (x && x->url && strcmp(x->url, url) == 0) {
        free(x->url);
        x->url = NULL;
    }
    pthread_mutex_unlock(&l->mutex);
}
