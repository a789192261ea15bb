#include "loader/parts/pace.h"

/* A window is long enough when each connection has brought some ranges, and not only those that were nearly
 * there. */
enum { RANGES_PER_CONNECTION = 3 };
static const double window_least_ms = 200, faster = 1.1, first_retry_ms = 10e3;

static void open_window(struct pace *p)
{
    p->window_ms = -1;
    p->window_bytes = 0;
    p->window_ranges = 0;
}

static void go_to(struct pace *p, int level)
{
    p->settling = p->below = p->level;
    p->level = level < p->most ? level : p->most;
    open_window(p);
}

void pace_init(struct pace *p, int most)
{
    *p = (struct pace){.most = most, .level = most < PACE_FIRST ? most : PACE_FIRST, .window_ms = -1};
    p->retry_after_ms = first_retry_ms;
}

static void judge(struct pace *p, double now_ms, double rate)
{
    bool is_faster = rate > p->rate * faster;
    if (p->trying && !is_faster) {
        p->trying = false;
        p->retry_ms = now_ms + p->retry_after_ms;
        p->retry_after_ms *= 2;
        go_to(p, p->below);
        return;
    }
    bool first = p->rate == 0;
    p->rate = rate;
    open_window(p);
    if (p->level < p->most && (first || p->trying || now_ms >= p->retry_ms)) {
        p->trying = true;
        go_to(p, p->level * 2);
    } else {
        p->trying = false;
    }
}

int pace_next(struct pace *p, double now_ms, uint64_t bytes)
{
    if (p->settling > 0) {
        p->settling--;
        return p->level;
    }
    if (p->window_ms < 0) { /* the range that opens a window began before it */
        p->window_ms = now_ms;
        return p->level;
    }
    p->window_bytes += bytes;
    p->window_ranges++;
    double ms = now_ms - p->window_ms;
    if (p->window_ranges >= RANGES_PER_CONNECTION * p->level && ms >= window_least_ms)
        judge(p, now_ms, (double)p->window_bytes / ms);
    return p->level;
}
