/* answer.h: what the XML API answers with, out of its XML. For tests and fuzzing without the network. */
#ifndef FERRY_CLOUD_STORAGE_ANSWER_H
#define FERRY_CLOUD_STORAGE_ANSWER_H

#include "base/arena.h"
#include "cloud/storage.h"

enum { UPLOAD_ID_ROOM = 1100 };

/* InitiateMultipartUploadResult. */
bool answer_upload_id(const char *xml, size_t size, char id[UPLOAD_ID_ROOM], struct err *e);

/* Parts as they come, over pages. Zeroed is empty; free(parts). */
struct part_list {
    struct part_tag *parts;
    int count, room;
    bool more; /* IsTruncated: ask again behind `marker` */
    int marker;
};
/* ListPartsResult: appends. Numbers must rise and a page that promises more must bring some. */
bool answer_parts(struct part_list *l, const char *xml, size_t size, struct err *e);

/* CompleteMultipartUploadResult; false with the error that a 200 may carry in its body. */
bool answer_sealed(const char *xml, size_t size, struct err *e);

/* CompleteMultipartUpload, from malloc: what is asked for. NULL: no memory. */
char *answer_seal_request(const struct part_tag *parts, int count);

#endif
