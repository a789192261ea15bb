#include "fake_source.h"

#include "base/stop.h"

#include <string.h>
#include <time.h>

static bool wait_ms(int ms, const volatile sig_atomic_t *stop, struct err *e)
{
    for (; ms > 0; ms--) {
        if (stop_wanted(stop))
            return err_set(e, ERR_CANCELLED, "interrupted");
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return true;
}

static bool answer_locked(struct fake_source *f, int64_t known, char *into, size_t room,
                          struct config_found *out, struct err *e)
{
    f->looks++;
    if (f->failure.kind != ERR_NONE) {
        *e = f->failure;
        return false;
    }
    if (f->generation == 0)
        return err_set(e, ERR_NOT_FOUND, "fake: no such object");
    if (f->generation == known)
        return true;
    *out = (struct config_found){.changed = true, .generation = f->generation, .size = f->size};
    if (f->size <= room)
        memcpy(into, f->text, (size_t)f->size);
    f->reads++;
    return true;
}

static bool fetch(void *arg, int64_t known, char *into, size_t room, const volatile sig_atomic_t *stop,
                  struct config_found *out, struct err *e)
{
    struct fake_source *f = arg;
    *out = (struct config_found){0};
    pthread_mutex_lock(&f->mutex);
    int delay = f->delay_ms;
    pthread_mutex_unlock(&f->mutex);
    if (!wait_ms(delay, stop, e))
        return false;
    pthread_mutex_lock(&f->mutex);
    bool ok = answer_locked(f, known, into, room, out, e);
    pthread_mutex_unlock(&f->mutex);
    return ok;
}

void fake_source_init(struct fake_source *f)
{
    *f = (struct fake_source){.source = {.uri = "fake", .fetch = fetch, .arg = f}};
    pthread_mutex_init(&f->mutex, NULL);
}

void fake_source_put(struct fake_source *f, int64_t generation, const char *text)
{
    pthread_mutex_lock(&f->mutex);
    f->generation = generation;
    f->text = text;
    f->size = strlen(text);
    f->failure = (struct err){0};
    pthread_mutex_unlock(&f->mutex);
}

void fake_source_fail(struct fake_source *f, enum err_kind kind, const char *why)
{
    pthread_mutex_lock(&f->mutex);
    err_set(&f->failure, kind, "%s", why);
    pthread_mutex_unlock(&f->mutex);
}

void fake_source_delay(struct fake_source *f, int ms)
{
    pthread_mutex_lock(&f->mutex);
    f->delay_ms = ms;
    pthread_mutex_unlock(&f->mutex);
}

int fake_source_looks(struct fake_source *f)
{
    pthread_mutex_lock(&f->mutex);
    int n = f->looks;
    pthread_mutex_unlock(&f->mutex);
    return n;
}
