/* layout.h: an image as a folder (OCI image layout, image-spec 1.0): oci-layout, index.json, blobs/sha256/….
 * What skopeo, umoci, podman and docker's containerd store read without a registry. */
#ifndef FERRY_TARGET_LAYOUT_H
#define FERRY_TARGET_LAYOUT_H

#include "base/err.h"
#include "target/image.h"

/* Writes the image into a folder that is made, empty or a layout already; there it takes the place of what
 * had its tag, and other images stay. Each file appears whole, index.json last. False with *e set: ERR_USAGE
 * (a folder of something else), ERR_CORRUPT (an index.json that is none), ERR_IO. */
bool layout_write(const struct image *im, const char *folder, const char *tag, struct err *e);

#endif
