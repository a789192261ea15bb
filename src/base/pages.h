/* pages.h: large anonymous memory, in huge pages where the kernel gives them (first touch of 4 KiB pages runs
 * at 2-3 GB/s, of 2 MiB pages at 12-23 GB/s, and reads miss the TLB less). Zeroed; touched only when used. */
#ifndef FERRY_BASE_PAGES_H
#define FERRY_BASE_PAGES_H

#include "base/err.h"

#include <stddef.h>

struct pages {
    void *data; /* aligned to 2 MiB when size is at least that, else to a page */
    size_t size;
    void *mapping; /* what munmap wants */
    size_t mapped;
};

/* Reserves `size` bytes of address space; memory is taken page by page as it is touched. False with *e set.
 */
bool pages_alloc(struct pages *p, size_t size, struct err *e);
void pages_free(struct pages *p); /* a zeroed one is fine */

#endif
