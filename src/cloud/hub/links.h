/* links.h: where the bytes of files lie, for a while: signed URLs by file, asked for once by whoever comes
 * first. Any thread. */
#ifndef FERRY_CLOUD_HUB_LINKS_H
#define FERRY_CLOUD_HUB_LINKS_H

#include "base/err.h"

#include <stddef.h>

enum { LINK_ROOM = 4096 };

struct links;
struct links *links_new(void); /* NULL: no memory */
void links_free(struct links *l);

/* Asks the hub; false with *e set. */
typedef bool (*link_fn)(void *arg, char url[LINK_ROOM], struct err *e);

/* The URL of key, from what is kept or from fn, which runs once however many threads ask. */
bool links_get(struct links *l, const char *key, link_fn fn, void *arg, char url[LINK_ROOM], struct err *e);

/* This URL does not work any more; another one that has come meanwhile stays. */
void links_drop(struct links *l, const char *key, const char *url);

#endif
