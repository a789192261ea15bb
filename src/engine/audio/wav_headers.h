/* wav_headers.h: is all of a wav file there? libsndfile would quietly read what is. */
#ifndef FERRY_ENGINE_AUDIO_WAV_HEADERS_H
#define FERRY_ENGINE_AUDIO_WAV_HEADERS_H

#include "base/err.h"

#include <stddef.h>

/* False with *e set (ERR_CORRUPT) when a RIFF file has no data chunk, or one that claims more bytes than
 * follow. A size that recorders write when they cannot know it (at least 0x7fff0000) is no claim. RIFX and
 * RF64 pass unseen. */
bool wav_headers_check(const unsigned char *bytes, size_t size, struct err *e);

#endif
