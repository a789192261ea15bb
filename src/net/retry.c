#include "net/retry.h"

#include "base/clock.h"
#include "base/stop.h"
#include "net/parse/rate_limit.h"

#include <sys/random.h>
#include <time.h>

const struct retry_policy retry_default = {
    .first_ms = 1000, .cap_ms = 32000, .max_tries = 8, .max_seconds = 300, .longest_wait_s = 120};

enum { SLICE_MS = 50 }; /* how long a stop may go unnoticed */

struct retry retry_start(const struct retry_policy *p, const struct http *h,
                         const volatile sig_atomic_t *stop)
{
    return (struct retry){.policy = p, .http = h, .stop = stop};
}

static bool told_to_stop(const struct retry *r)
{
    return stop_wanted(r->stop) || (r->http && http_winds_down(r->http));
}

static bool status_worth_retrying(int status)
{
    static const int worth[] = {408, 429, 500, 502, 503, 504};
    for (size_t i = 0; i < sizeof worth / sizeof *worth; i++) {
        if (status == worth[i])
            return true;
    }
    return false;
}

/* Full jitter: all who failed together do not come back together. */
static int random_wait_ms(const struct retry_policy *p, int failures)
{
    int64_t most = p->first_ms;
    for (int i = 1; i < failures && most < p->cap_ms; i++)
        most *= 2;
    most = most < p->cap_ms ? most : p->cap_ms;
    uint32_t chance = 0;
    if (getrandom(&chance, sizeof chance, GRND_NONBLOCK) != sizeof chance)
        chance = (uint32_t)clock_ns() * 2654435761u; /* early after boot */
    return (int)((uint64_t)(most + 1) * chance >> 32);
}

/* Counts a failure; asked_s: what the answer wants us to wait. */
static bool again(struct retry *r, int asked_s)
{
    const struct retry_policy *p = r->policy;
    uint64_t now = clock_ns();

    if (r->tries++ == 0)
        r->since_ns = now;
    if (told_to_stop(r) || (p->max_tries && r->tries >= p->max_tries) || asked_s > p->longest_wait_s)
        return false;
    int wait_ms = random_wait_ms(p, r->tries);
    r->wait_ms = asked_s * 1000 > wait_ms ? asked_s * 1000 : wait_ms;
    uint64_t spent_ms = (now - r->since_ns) / 1000000 + (uint64_t)r->wait_ms;
    return spent_ms <= (uint64_t)p->max_seconds * 1000;
}

/* Only of a 429: another answer may carry the header with nothing left and still be final. */
static int asked_seconds(const struct http_reply *reply)
{
    char limit[400];
    int asked = reply->retry_after_seconds;
    if (reply->status == 429) {
        int reset = rate_limit_seconds(http_header(reply, "ratelimit", limit, sizeof limit));
        if (reset && reset + 1 > asked)
            asked = reset + 1;
    }
    return asked;
}

bool retry_wanted(struct retry *r, bool sent, const struct http_reply *reply, const struct err *e)
{
    if (!sent)
        return e->kind == ERR_TRANSIENT && again(r, 0);
    return status_worth_retrying(reply->status) && again(r, asked_seconds(reply));
}

bool retry_again(struct retry *r)
{
    return again(r, 0);
}

bool retry_wait(struct retry *r)
{
    uint64_t end = clock_ns() + (uint64_t)r->wait_ms * 1000000;
    for (uint64_t now; !told_to_stop(r) && (now = clock_ns()) < end;) {
        uint64_t left_ms = (end - now) / 1000000 + 1;
        struct timespec slice = {.tv_nsec = (long)(left_ms < SLICE_MS ? left_ms : SLICE_MS) * 1000000};
        nanosleep(&slice, NULL);
    }
    return !told_to_stop(r);
}

void retry_progress(struct retry *r)
{
    r->tries = 0;
    r->since_ns = 0;
}
