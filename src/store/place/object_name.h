/* object_name.h: what Cloud Storage takes for a name, checked before it is asked. */
#ifndef FERRY_STORE_PLACE_OBJECT_NAME_H
#define FERRY_STORE_PLACE_OBJECT_NAME_H

#include "base/err.h"

/* As (the beginning of) a name. False with *e (ERR_USAGE) set. */
bool object_prefix_check(const char *bucket, const char *prefix, struct err *e);
/* As a name to write to. */
bool object_name_check(const char *bucket, const char *name, struct err *e);
/* By its ending; never NULL. */
const char *object_content_type(const char *name);

#endif
