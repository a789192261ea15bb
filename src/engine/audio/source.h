/* source.h: an open audio file: interleaved f32 frames come out, one block after the other.
 *
 * libsndfile reads wav, flac and ogg. mp3 goes to libmpg123, which libsndfile would ask too, but without a
 * way to keep it from writing about broken frames on stderr. */
#ifndef FERRY_ENGINE_AUDIO_SOURCE_H
#define FERRY_ENGINE_AUDIO_SOURCE_H

#include "base/err.h"
#include "engine/audio/memory_file.h"

#include <stdbool.h>
#include <stddef.h>

struct source_kind; /* the library behind it */

struct source {
    const struct source_kind *kind;
    void *handle;
    struct memory_file memory; /* handle points here: a source does not move while it is open */
    int rate, channels;
    int64_t frames; /* what the header says where that is a promise (flac); else -1 */
};

struct source_kind {
    bool (*open)(struct source *s, struct err *e);
    int64_t (*read)(struct source *s, float *block, int64_t frames, struct err *e);
    void (*close)(struct source *s);
};

extern const struct source_kind source_sndfile, source_mp3;

/* Opens with s->memory set. On false nothing is left open. */
static inline bool source_open(struct source *s, const struct source_kind *kind, struct err *e)
{
    s->kind = kind;
    return kind->open(s, e);
}

/* Frames read into block [frames][channels]; 0 at the end; -1 with *e set when the stream is broken. */
static inline int64_t source_read(struct source *s, float *block, int64_t frames, struct err *e)
{
    return s->kind->read(s, block, frames, e);
}

static inline void source_close(struct source *s)
{
    s->kind->close(s);
}

#endif
