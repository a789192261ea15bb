/* local_list.h: the files under a prefix, as Cloud Storage would list them. */
#ifndef FERRY_STORE_PLACE_LOCAL_LIST_H
#define FERRY_STORE_PLACE_LOCAL_LIST_H

#include "store/store.h"

/* store_list of the local store. A folder that is not there holds nothing; one that cannot be read is an
 * error. Part files are passed over. */
bool local_list(const char *prefix, enum store_depth depth, entry_fn fn, void *arg, struct err *e);

#endif
