/* xml.h: the little XML there is. */
#ifndef FERRY_EMULATOR_XML_H
#define FERRY_EMULATOR_XML_H

#include "base/arena.h"

#include <stddef.h>

char *xml_escape(struct arena *a, const char *text);

struct xml_part {
    int number;
    char etag[80];
};

/* The parts of a <CompleteMultipartUpload>, in the order given. NULL: it is not one, or there are more than
 * most. */
struct xml_part *xml_parts(struct arena *a, const char *text, size_t size, int most, int *count);

/* A text that grows. Zeroed is empty. */
struct text {
    char *bytes;
    size_t size, room;
};
void text_add(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
