/* regions.h: where Cloud Run runs, what each place has, and how far one is from another.
 *
 *   places      cloud.google.com/run/docs/locations (stored copy); coordinates are those of the city
 *   GPU         configuring/services/gpu, read 2026-10-01; RTX PRO 6000: notes of 2026-05 and 2026-09
 *   disk        ephemeral disk without a GPU, announced 2026-04-20 (Preview)
 *   distance    great circle. Light in glass goes 200 km in a millisecond, there and back the distance twice;
 *               cables are longer, so a round trip takes at least that */
#ifndef FERRY_PLAN_REGIONS_H
#define FERRY_PLAN_REGIONS_H

#include <stdbool.h>
#include <stddef.h>

enum region_gpu { REGION_NO_GPU, REGION_GPU, REGION_GPU_INVITED }; /* on invitation or limited */

struct region {
    const char *name, *place; /* "asia-northeast1", "Tokyo" */
    double latitude, longitude;
    enum region_gpu l4, rtx_pro_6000;
    bool disk; /* ephemeral disk without a GPU */
};

#define REGION_DEFAULT "asia-northeast1"

const struct region *region_at(size_t n);           /* NULL behind the last */
const struct region *region_find(const char *name); /* NULL: not one that is known */
/* The nearest with an L4 that anyone may use; itself if it has one. */
const struct region *region_nearest_l4(const struct region *from);

double region_km(const struct region *a, const struct region *b);
double region_round_trip_ms(double km); /* at least */

#endif
