/* xml.h: the XML that Cloud Storage answers with: elements and text, nothing else of XML's wealth.
 *
 *   <?xml …?><ListPartsResult xmlns='…'><Part><PartNumber>1</PartNumber>…
 *
 * Prolog, comments and attributes are passed over; a DOCTYPE is refused, and with it every entity but the
 * five predefined ones and character references. Stateless. */
#ifndef FERRY_CLOUD_STORAGE_XML_H
#define FERRY_CLOUD_STORAGE_XML_H

#include "base/err.h"

#include <stddef.h>

enum { XML_MAX_DEPTH = 8, XML_MAX_NAME = 64, XML_MAX_TEXT = 4096 };

/* Called at the end of each element, children first: depth 0 is the root. text: what stood in it beside its
 * children, decoded, with a NUL; "" for white space alone. False with *e set ends the reading. */
typedef bool (*xml_fn)(void *arg, int depth, const char *name, const char *text, struct err *e);

/* False with *e (ERR_CORRUPT, ERR_LIMIT, or fn's) set; what came before the fault has been told. */
bool xml_read(const char *text, size_t size, xml_fn fn, void *arg, struct err *e);

#endif
