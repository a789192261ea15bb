#include "engine/audio/source.h"

#include <sndfile.h>

static sf_count_t io_size(void *user)
{
    return ((struct memory_file *)user)->size;
}

static sf_count_t io_tell(void *user)
{
    return ((struct memory_file *)user)->at;
}

static sf_count_t io_seek(sf_count_t offset, int whence, void *user)
{
    return memory_file_seek(user, offset, whence);
}

static sf_count_t io_read(void *to, sf_count_t count, void *user)
{
    return memory_file_read(user, to, count);
}

static bool open_sndfile(struct source *s, struct err *e)
{
    SF_VIRTUAL_IO io = {.get_filelen = io_size, .seek = io_seek, .read = io_read, .tell = io_tell};
    SF_INFO info = {0};
    s->handle = sf_open_virtual(&io, SFM_READ, &info, &s->memory);
    if (!s->handle) /* why is in a global of libsndfile that other threads write too */
        return err_set(e, ERR_CORRUPT,
                       "its header is broken, or its codec is not read; expected for example 16-bit PCM");
    bool promises = (info.format & SF_FORMAT_TYPEMASK) == SF_FORMAT_FLAC && info.frames < SF_COUNT_MAX;
    s->rate = info.samplerate;
    s->channels = info.channels;
    s->frames = promises ? info.frames : -1;
    return true;
}

static int64_t read_sndfile(struct source *s, float *block, int64_t frames, struct err *e)
{
    sf_count_t n = sf_readf_float(s->handle, block, frames);
    if (n > 0 || sf_error(s->handle) == SF_ERR_NO_ERROR)
        return n > 0 ? n : 0;
    err_set(e, ERR_CORRUPT, "%s", sf_strerror(s->handle));
    return -1;
}

static void close_sndfile(struct source *s)
{
    sf_close(s->handle);
}

const struct source_kind source_sndfile = {open_sndfile, read_sndfile, close_sndfile};
