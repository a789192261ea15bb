#include "base/pages.h"

#include "base/checked.h"

#include <stdint.h>
#include <sys/mman.h>

enum { HUGE_PAGE = 2 << 20 };

bool pages_alloc(struct pages *p, size_t size, struct err *e)
{
    *p = (struct pages){0};
    size_t room = size ? size : 1;
    if (size >= HUGE_PAGE && !checked_add(size, HUGE_PAGE, &room))
        return err_set(e, ERR_MEMORY, "%zu bytes are more than there is address space", size);
    void *m = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (m == MAP_FAILED)
        return err_errno(e, "%zu bytes of memory", size);
    p->mapping = m;
    p->mapped = room;
    p->size = size;
    p->data = m;
    if (size >= HUGE_PAGE) {
        p->data = (void *)(((uintptr_t)m + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1));
        madvise(p->data, size, MADV_HUGEPAGE); /* advice: without it the memory works all the same */
    }
    return true;
}

void pages_free(struct pages *p)
{
    if (p->mapping)
        munmap(p->mapping, p->mapped);
    *p = (struct pages){0};
}
