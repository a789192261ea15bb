/* progress_line.h: what the progress of a copy looks like on a terminal. Text only: nothing is written. */
#ifndef FERRY_CMD_PROGRESS_LINE_H
#define FERRY_CMD_PROGRESS_LINE_H

#include "transfer/transfer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes per second over the last seconds, so that it follows a line that gets slower. */
enum { RATE_SAMPLES = 64, RATE_WINDOW_MS = 10000, RATE_STEP_MS = 200 };
struct rate {
    struct {
        double ms;
        uint64_t bytes;
    } samples[RATE_SAMPLES]; /* a ring, oldest at `first` */
    int first, count;
};
void rate_add(struct rate *r, double ms, uint64_t bytes);
double rate_per_second(const struct rate *r); /* 0 until it is known */

struct progress_view {
    const struct transfer_progress *p;
    double bytes_per_second; /* 0: not known yet */
    int width, height;       /* of the terminal */
    bool stopping;
    const char *bold, *dim, *plain; /* escape sequences or "" */
};

enum { PROGRESS_FRAME_BYTES = 16384 };

/* One line for each file in flight, the total below; none as wide as the terminal, since some wrap then.
 * Lines end in "\n". Returns how many there are. */
int progress_frame(const struct progress_view *v, char out[PROGRESS_FRAME_BYTES]);

/* text in exactly `columns` columns of a terminal: filled up with spaces, or cut in front with "…"; control
 * characters and what is not UTF-8 become "?". Returns the end of what was written to out. */
char *fit_columns(char *out, size_t room, const char *text, int columns);

/* Percent done, never 100 before all is. */
int percent_of(uint64_t done, uint64_t total);

#endif
