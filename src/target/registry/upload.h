/* upload.h: one blob on its way into a registry (distribution-spec, "Pushing blobs").
 *
 * What is there already is not sent; what lies in another repository of the same registry is mounted from
 * there. Else the whole in one request, or in pieces; after a break the registry is asked how much it holds,
 * and the rest follows in pieces. Where an upload cannot be gone on with (Artifact Registry takes no pieces)
 * it begins anew. The registry compares the digest, and we compare what it says. */
#ifndef FERRY_TARGET_REGISTRY_UPLOAD_H
#define FERRY_TARGET_REGISTRY_UPLOAD_H

#include "target/image.h"
#include "target/registry/session.h"

enum { UPLOAD_CHUNK = 4 << 20 /* after a break; the most that ghcr.io takes */ };

#define UPLOAD_TYPE "application/octet-stream" /* of bytes on their way */

enum upload_way { UPLOAD_WAS_THERE, UPLOAD_MOUNTED, UPLOAD_SENT };

/* Whether the registry has it. False with *e set only when nobody answers. */
bool upload_is_there(struct session *s, const struct image_blob *b, bool *there, struct err *e);

/* chunk: bytes per request; 0: the whole in one. Afterwards the blob is there, *way says how it came. */
bool upload_blob(struct session *s, const struct image_blob *b, size_t chunk, enum upload_way *way,
                 struct err *e);

/* An upload's address as a Location header gives it, absolute or from the root, made absolute; in the arena.
 * NULL with *e (ERR_CORRUPT) set: neither, or unencrypted while the registry is not. For tests. */
char *upload_address(struct session *s, const char *location, struct err *e);

#endif
