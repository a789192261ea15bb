/* text.h: a text that grows, up to JOURNAL_MAX_BYTES. Zeroed is empty; after a failed addition it stays
 * failed, so that only the end has to look. */
#ifndef FERRY_TRANSFER_JOURNAL_TEXT_H
#define FERRY_TRANSFER_JOURNAL_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct text {
    char *bytes;
    size_t size, room;
    bool failed; /* no memory, or over the ceiling */
};

void text_add(struct text *t, const char *bytes, size_t size);
void text_printf(struct text *t, const char *format, ...)
    __attribute__((format(printf, 2, 3))); /* at most 255 bytes */
void text_clear(struct text *t);

#endif
