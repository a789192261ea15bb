#include "engine/audio/source.h"

#include <mpg123.h>

static ssize_t io_read(void *user, void *to, size_t count)
{
    return (ssize_t)memory_file_read(user, to, (int64_t)count);
}

static off_t io_seek(void *user, off_t offset, int whence)
{
    return (off_t)memory_file_seek(user, offset, whence);
}

/* f32 at the file's own rate; nothing printed; a stream that changes its rate or channels half way ends
 * there. */
static bool set_up(mpg123_handle *h)
{
    const long add = MPG123_QUIET | MPG123_FORCE_FLOAT | MPG123_NO_FRANKENSTEIN | MPG123_GAPLESS;
    return mpg123_param(h, MPG123_ADD_FLAGS, add, 0) == MPG123_OK &&
           mpg123_param(h, MPG123_REMOVE_FLAGS, MPG123_AUTO_RESAMPLE, 0) == MPG123_OK &&
           mpg123_replace_reader_handle(h, io_read, io_seek, NULL) == MPG123_OK;
}

static bool open_mp3(struct source *s, struct err *e)
{
    long rate;
    int encoding;
    mpg123_handle *h = mpg123_new(NULL, NULL);
    if (!h || !set_up(h)) {
        mpg123_delete(h);
        return err_set(e, ERR_MEMORY, "no memory for a decoder");
    }
    if (mpg123_open_handle(h, &s->memory) != MPG123_OK ||
        mpg123_getformat(h, &rate, &s->channels, &encoding) != MPG123_OK || encoding != MPG123_ENC_FLOAT_32) {
        mpg123_delete(h);
        return err_set(e, ERR_CORRUPT, "no MPEG audio frame in it");
    }
    s->handle = h;
    s->rate = (int)rate;
    s->frames = -1; /* a Xing header's estimate */
    return true;
}

static int64_t read_mp3(struct source *s, float *block, int64_t frames, struct err *e)
{
    size_t frame_bytes = sizeof *block * (size_t)s->channels, done = 0;
    int status = mpg123_read(s->handle, block, (size_t)frames * frame_bytes, &done);
    if (done > 0 || status == MPG123_DONE)
        return (int64_t)(done / frame_bytes);
    if (status == MPG123_NEW_FORMAT)
        err_set(e, ERR_UNSUPPORTED, "its sample rate or channels change");
    else
        err_set(e, ERR_CORRUPT, "%s", mpg123_strerror(s->handle));
    return -1;
}

static void close_mp3(struct source *s)
{
    mpg123_delete(s->handle);
}

const struct source_kind source_mp3 = {open_mp3, read_mp3, close_mp3};
