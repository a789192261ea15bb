/* service.h: the object of a manifest. */
#ifndef FERRY_TARGET_KNATIVE_SERVICE_H
#define FERRY_TARGET_KNATIVE_SERVICE_H

#include "target/knative.h"

#include <jansson.h>

/* A new reference. NULL with *e set: a name or URI that is not UTF-8, no memory. */
json_t *knative_service(const struct target_spec *s, struct err *e);

#endif
