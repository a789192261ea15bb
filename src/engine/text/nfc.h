/* nfc.h: Unicode normalisation form C. */
#ifndef FERRY_ENGINE_TEXT_NFC_H
#define FERRY_ENGINE_TEXT_NFC_H

#include "base/err.h"

#include <stddef.h>

/* True when valid UTF-8 surely is in form C already: all but text with combining marks, conjoining jamo or
 * characters that the form replaces. */
bool nfc_settled(const char *text, size_t size);

/* Valid UTF-8 in form C, malloc'ed. Takes linear time, also for endless runs of combining marks. NULL with *e
 * set when memory is short. */
char *nfc_compose(const char *text, size_t size, size_t *out_size, struct err *e);

#endif
