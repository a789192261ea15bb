/* pace.h: over how many connections to fetch, found out by trying.
 *
 * One connection to a bucket brings 50 to 200 MB/s however fast the machine is, so more of them bring more,
 * until link or processor are full; beyond that they only make every range come later. So: begin with few,
 * double while that makes it faster by a tenth, else go back; try again now and then, for the link that was
 * slow a while ago. Arithmetic only: the caller brings the time. */
#ifndef FERRY_LOADER_PARTS_PACE_H
#define FERRY_LOADER_PARTS_PACE_H

#include <stdbool.h>
#include <stdint.h>

enum { PACE_FIRST = 4 };

struct pace {
    int level, most;
    int below;        /* the level before */
    bool trying;      /* level is a try: compare with the one before */
    double rate;      /* of the level before while trying, else the last one seen; bytes per ms */
    double window_ms; /* since when the window is open; below 0: not yet */
    uint64_t window_bytes;
    int window_ranges, settling; /* ranges still to come that began at another level */
    double retry_ms, retry_after_ms;
};

void pace_init(struct pace *p, int most);

/* A range of so many bytes came. How many connections from now on. */
int pace_next(struct pace *p, double now_ms, uint64_t bytes);

#endif
