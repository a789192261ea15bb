/* local.h: what the local store and its uploads share. */
#ifndef FERRY_STORE_PLACE_LOCAL_H
#define FERRY_STORE_PLACE_LOCAL_H

#include "store/store.h"

#include <sys/stat.h>

enum { LOCAL_UPDATED = 32 };

/* The time of change in ns. */
int64_t local_generation(const struct stat *st);
/* *out without its name; updated: where its text goes. */
void local_entry(const struct stat *st, char updated[LOCAL_UPDATED], struct entry *out);
/* The same in the arena, with its name. */
bool local_entry_in(struct arena *a, const char *name, const struct stat *st, struct entry *out,
                    struct err *e);
/* ERR_BUSY when if_generation is STORAGE_ABSENT and the file is there. */
bool local_check_absent(const char *name, int64_t if_generation, struct err *e);

#endif
