/* config_source.h: where a service's live configuration lies: an object in a bucket or a file here, as the
 * server asks for it (serve/config_source.h). */
#ifndef FERRY_CMD_CONFIG_SOURCE_H
#define FERRY_CMD_CONFIG_SOURCE_H

#include "serve/config_source.h"
#include "store/uri.h"

/* The text of a URI that can be one object's name, in the arena, and the URI itself: a bare a/b is a path
 * here, since no configuration comes from the hub. NULL with *e (ERR_USAGE) set. */
const char *config_uri(const char *text, struct arena *a, struct uri *u, struct err *e);

struct config_place;

/* Only the URI is looked at here; credentials, connections and the object come with the first fetch, so that
 * a service starts without waiting for them. NULL with *e (ERR_USAGE) set: not a place for one. */
struct config_place *config_place_new(const char *uri, struct err *e);
void config_place_free(struct config_place *p); /* after the server; NULL is fine */
const struct config_source *config_place_source(const struct config_place *p);

#endif
