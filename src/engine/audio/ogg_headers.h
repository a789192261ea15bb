/* ogg_headers.h: what an ogg file holds, before libsndfile sees it.
 *
 * libsndfile 1.2.0 leaks what it has of a vorbis stream whose headers turn out to be broken, some kilobytes
 * for every such file that somebody sends. Files that pass here pass there. */
#ifndef FERRY_ENGINE_AUDIO_OGG_HEADERS_H
#define FERRY_ENGINE_AUDIO_OGG_HEADERS_H

#include "base/err.h"

#include <stddef.h>

/* False with *e set when the first stream is neither opus nor vorbis, or vorbis without its three whole
 * header packets. */
bool ogg_headers_check(const unsigned char *bytes, size_t size, struct err *e);

#endif
