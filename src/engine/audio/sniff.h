/* sniff.h: which kind of audio file these bytes are, by their first bytes.
 *
 * Decided before libsndfile sees anything: only the containers of the table reach its parsers, and the ones
 * people send by habit but that it cannot read (m4a, webm, …) are refused by name. */
#ifndef FERRY_ENGINE_AUDIO_SNIFF_H
#define FERRY_ENGINE_AUDIO_SNIFF_H

#include "base/err.h"

#include <stddef.h>

/* "WAV", "FLAC", "OGG", "MP3", for struct audio. NULL with *e set (ERR_UNSUPPORTED) for anything
 * else; the message lists what works. */
const char *sniff_container(const unsigned char *bytes, size_t size, struct err *e);

/* False with *e set (ERR_CORRUPT) when a RIFF file's data chunk claims more bytes than follow: libsndfile
 * would quietly read what is there. A size that recorders write when they cannot know it (0, or at least
 * 0x7fff0000) is no claim. Anything else than RIFF is fine. */
bool sniff_wav_is_whole(const unsigned char *bytes, size_t size, struct err *e);

#endif
