/* stage_via.h: what the ways of `ferry stage --via` that do not copy here have in common. */
#ifndef FERRY_CMD_STAGE_VIA_H
#define FERRY_CMD_STAGE_VIA_H

#include "cmd/stage.h"
#include "plan/cost.h"

enum { VIA_SAY_SECONDS = 5, VIA_USD = 60 };

/* The bytes that are still to be copied: all, and those of one task. */
uint64_t via_bytes(const struct stage *s);
uint64_t via_bytes_of_task(const struct stage *s, int task);

/* The same command for the container; NULL: no memory. */
const char *const *via_words(const struct stage *s);
/* Where it is to run: as told, or the bucket's own region, since bytes that cross regions cost. In the arena.
 */
bool via_region(const struct stage *s, const char **out, struct err *e);
/* Project and the name of job or VM (STAGE_JOB_NAME), the same for the same copy. */
bool via_project(const struct stage *s, const char **out, struct err *e);
bool via_name(const struct stage *s, char *out, struct err *e);

/* What each way needs; who: "job". */
bool via_check(const struct stage *s, const char *who, struct err *e);

/* "0.01 to 0.05 USD", or that it is not known. */
const char *via_usd(struct span usd, char out[VIA_USD]);

/* After it has ended: what is there now says whether it was done. *complete. */
bool via_look_again(struct stage *s, bool *complete, struct err *e);

#endif
