/* root.h: what lies where in an image of ferry. */
#ifndef FERRY_TARGET_IMAGE_ROOT_H
#define FERRY_TARGET_IMAGE_ROOT_H

#include "target/elf/libraries.h"
#include "target/image/layer.h"

/* Paths in the image, without the first slash. */
#define ROOT_PROGRAM "ferry"
#define ROOT_CERTIFICATES "etc/ssl/certs/ca-certificates.crt" /* where Debian's OpenSSL and libcurl look */
#define ROOT_USER "65532:65532" /* the number that images without a shell have come to use for nobody */

/* The libraries with their loader, certificates (a file on this machine; NULL: this system's), /etc, /tmp. */
bool root_add_libraries(struct layer *l, const struct libraries *found, const char *certificates,
                        struct err *e);
/* The program's own bytes, which stay the caller's. */
bool root_add_program(struct layer *l, const void *bytes, size_t size, struct err *e);

#endif
