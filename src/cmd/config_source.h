/* config_source.h: where a service's live configuration lies: an object in a bucket or a file here, as the
 * server asks for it (serve/config_source.h). */
#ifndef FERRY_CMD_CONFIG_SOURCE_H
#define FERRY_CMD_CONFIG_SOURCE_H

#include "serve/config_source.h"

struct config_place;

/* Only the URI is looked at here; credentials, connections and the object come with the first fetch, so that
 * a service starts without waiting for them. NULL with *e (ERR_USAGE) set: not a place for one. */
struct config_place *config_place_new(const char *uri, struct err *e);
void config_place_free(struct config_place *p); /* after the server; NULL is fine */
const struct config_source *config_place_source(const struct config_place *p);

#endif
