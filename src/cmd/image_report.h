/* image_report.h: what `ferry image` prints of an image. */
#ifndef FERRY_CMD_IMAGE_REPORT_H
#define FERRY_CMD_IMAGE_REPORT_H

#include "target/image.h"
#include "target/registry.h"

#include <jansson.h>

/* "ferry 0.1.0 (27d2c2a6ff8c), linux/amd64, 10.8 MB", and unless `brief` a line for each layer. */
void image_print(const struct image *im, bool brief);
/* Each file: mode, bytes, path, where it comes from. */
void image_print_files(const struct image *im);

/* All of it as an object; NULL: no memory. */
json_t *image_json(const struct image *im);

/* A push while it goes on: a line per blob, unless `quiet`, and what became of each. */
struct image_push {
    bool quiet;
    bool open; /* a line was begun */
    double since_ms;
    json_t *blobs; /* an array */
};
void image_push_tell(void *push, const struct image_blob *b, enum push_state state); /* a push_fn */

/* The requests of registry_plan, as lines or as an array (NULL: no memory). */
void image_print_requests(const struct push_request *requests, int count);
json_t *image_requests_json(const struct push_request *requests, int count);

#endif
