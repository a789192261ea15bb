/* description.h: the JSON of an image: what runs in it and how (config), what it is made of (manifest). Keys
 * are sorted and nothing depends on when or where it was written. */
#ifndef FERRY_TARGET_IMAGE_DESCRIPTION_H
#define FERRY_TARGET_IMAGE_DESCRIPTION_H

#include "target/image.h"

/* Layers must be there. The text is the caller's, to be freed; NULL with *e set: no memory. */
char *image_config(const struct image *im, int64_t created, struct err *e);

/* Layers and config must be there. */
char *image_manifest(const struct image *im, struct err *e);

#endif
