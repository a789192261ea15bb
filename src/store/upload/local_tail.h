/* local_tail.h: which parts of a part file are there, written behind its content (sealing cuts it off).
 *
 *   head  magic, sizes, the upload's nonce, the boot that wrote it
 *   per part  there, CRC32C
 * A part is marked after its bytes are written. A killed process loses neither; a crashed machine may have
 * kept the mark and lost the bytes, so what another boot wrote is read and compared with its CRC. */
#ifndef FERRY_STORE_UPLOAD_LOCAL_TAIL_H
#define FERRY_STORE_UPLOAD_LOCAL_TAIL_H

#include "store/place/part_file.h"
#include "store/upload/upload.h"

enum { LOCAL_NONCE = 33 }; /* 32 hex digits: tells this upload's part file from any other's */

bool local_nonce(char out[LOCAL_NONCE], struct err *e);
uint64_t local_tail_bytes(const struct upload *u);

/* A new one: no part is there. */
bool local_tail_write(struct part_file *f, const struct upload *u, const char *nonce, struct err *e);
/* Marks in u what is there. ERR_NOT_FOUND: none of this upload. */
bool local_tail_load(struct part_file *f, struct upload *u, const char *nonce, struct err *e);
bool local_tail_mark(struct part_file *f, const struct upload *u, int part, uint32_t crc32c, struct err *e);

/* CRC of size bytes from offset of the open file. */
bool local_crc(struct part_file *f, uint64_t offset, uint64_t size, uint32_t *crc32c, struct err *e);

#endif
