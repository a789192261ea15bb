#include "cloud/operation.h"

#include "base/clock.h"
#include "base/stop.h"
#include "cloud/call/rest.h"

#include <string.h>
#include <time.h>

enum { DEFAULT_SECONDS = 600, FIRST_MS = 100, LAST_MS = 5000, SLICE_MS = 50 };

/* --- pace --- */

double pace_seconds(const struct pace *p)
{
    return p->since_ns ? (double)(clock_ns() - p->since_ns) * 1e-9 : 0;
}

static bool tell(struct pace *p, struct err *e)
{
    const struct wait *w = p->wait;
    uint64_t now = clock_ns();
    if (!w->on_wait || now - p->told_ns < 1000000000u)
        return true;
    p->told_ns = now;
    return w->on_wait(w->arg, pace_seconds(p), e);
}

static bool sleep_slice(struct pace *p, uint64_t until_ns, struct err *e)
{
    uint64_t now = clock_ns(), left_ms = until_ns > now ? (until_ns - now) / 1000000 + 1 : 0;
    struct timespec slice = {.tv_nsec = (long)(left_ms < SLICE_MS ? left_ms : SLICE_MS) * 1000000};
    if (stop_wanted(p->wait->stop))
        return err_set(e, ERR_CANCELLED, "interrupted");
    nanosleep(&slice, NULL);
    return tell(p, e);
}

bool pace_wait(struct pace *p, struct err *e)
{
    int limit = p->wait->seconds ? p->wait->seconds : DEFAULT_SECONDS;
    if (!p->since_ns) {
        p->since_ns = p->told_ns = clock_ns();
        p->next_ms = FIRST_MS;
    }
    if (pace_seconds(p) >= limit)
        return err_set(e, ERR_TRANSIENT, "not done after %d s", limit);
    uint64_t until = clock_ns() + (uint64_t)p->next_ms * 1000000;
    p->next_ms = p->next_ms * 3 / 2 < LAST_MS ? p->next_ms * 3 / 2 : LAST_MS;
    while (clock_ns() < until)
        if (!sleep_slice(p, until, e))
            return false;
    return true;
}

/* --- operations --- */

/* The operation as it is now; "projects/P/locations/L/operations/ID" is a path by itself. */
static json_t *ask(struct cloud *c, const char *api, const char *version, const json_t *operation,
                   struct err *e)
{
    char path[600];
    const char *name = json_string_value(json_object_get(operation, "name"));
    if (!name || strlen(name) > 500 || strpbrk(name, "?#{} ")) {
        err_set(e, ERR_CORRUPT, "an operation without a name to ask for");
        return NULL;
    }
    snprintf(path, sizeof path, "/%s/%s", version, name);
    return rest_call(c, &(struct rest){.api = api, .method = "GET", .path = path}, e);
}

static json_t *result(const json_t *operation, struct err *e)
{
    const json_t *error = json_object_get(operation, "error");
    json_t *response = json_object_get(operation, "response");
    if (error) {
        cloud_explain_status(error, e);
        return NULL;
    }
    return response ? json_incref(response) : json_object();
}

json_t *operation_finish(struct cloud *c, const char *api, const char *version, json_t *begun,
                         const struct wait *w, struct err *e)
{
    static const struct wait unwatched;
    struct pace pace = {.wait = w ? w : &unwatched};
    json_t *operation = begun;

    while (operation && !json_is_true(json_object_get(operation, "done"))) {
        bool waited = pace_wait(&pace, e);
        json_t *next = waited ? ask(c, api, version, operation, e) : NULL;
        json_decref(operation);
        operation = next;
    }
    json_t *done = operation ? result(operation, e) : NULL;
    json_decref(operation);
    return done;
}
