/* sniff.h: which kind of audio file these bytes are, by their first bytes.
 *
 * Decided before any decoder sees anything: only the containers of the table reach one, and what people send
 * by habit but cannot be read (m4a, webm, …) is refused by name. */
#ifndef FERRY_ENGINE_AUDIO_SNIFF_H
#define FERRY_ENGINE_AUDIO_SNIFF_H

#include "base/err.h"
#include "engine/audio/source.h"

#include <stddef.h>

struct container {
    const char *name;               /* "WAV", "FLAC", "OGG", "MP3" */
    const struct source_kind *kind; /* what decodes it; NULL: nothing does */
    /* What its decoder would not say, or not say well. NULL: nothing to check. */
    bool (*check)(const unsigned char *bytes, size_t size, struct err *e);
};

/* NULL with *e set (ERR_UNSUPPORTED) for what is not read; the message lists what is. */
const struct container *sniff_container(const unsigned char *bytes, size_t size, struct err *e);

#endif
