#include "engine/audio/sniff.h"

#include <stdint.h>
#include <string.h>

#define FORMATS_READ "wav, flac, ogg (vorbis or opus) or mp3"

/* Signature: `bytes` under `mask` at `offset`, and `bytes2` at `offset2` when it is there. */
struct signature {
    const char *name;
    bool read;
    unsigned offset;
    const char *bytes, *mask; /* mask NULL: all bits count */
    unsigned offset2;
    const char *bytes2;
};

static const struct signature signatures[] = {
    {"WAV", true, 0, "RIFF", NULL, 8, "WAVE"},
    {"WAV", true, 0, "RIFX", NULL, 8, "WAVE"},
    {"WAV", true, 0, "RF64", NULL, 8, "WAVE"},
    {"FLAC", true, 0, "fLaC", NULL, 0, NULL},
    {"OGG", true, 0, "OggS", NULL, 0, NULL},
    {"MP3", true, 0, "ID3", NULL, 0, NULL},
    /* ISO 13818-7 ADTS and ISO 11172-3 share the sync word; the layer bits tell them apart (00 is AAC). */
    {"AAC", false, 0, "\xff\xf0", "\xff\xf6", 0, NULL},
    {"MP3", true, 0, "\xff\xe0", "\xff\xe0", 0, NULL},
    {"M4A/MP4", false, 4, "ftyp", NULL, 0, NULL},
    {"WebM/Matroska", false, 0, "\x1a\x45\xdf\xa3", NULL, 0, NULL},
    {"WMA", false, 0, "\x30\x26\xb2\x75", NULL, 0, NULL},
    {"AMR", false, 0, "#!AMR", NULL, 0, NULL},
    {"AIFF", false, 0, "FORM", NULL, 8, "AIF"},
    {"AVI", false, 0, "RIFF", NULL, 8, "AVI "},
};

static bool has(const unsigned char *bytes, size_t size, unsigned offset, const char *want, const char *mask)
{
    size_t n = strlen(want);
    if (size < offset || size - offset < n)
        return false;
    for (size_t i = 0; i < n; i++) {
        unsigned char bits = mask ? (unsigned char)mask[i] : 0xff;
        if ((bytes[offset + i] & bits) != (unsigned char)want[i])
            return false;
    }
    return true;
}

static const struct signature *find(const unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < sizeof signatures / sizeof *signatures; i++) {
        const struct signature *s = &signatures[i];
        if (has(bytes, size, s->offset, s->bytes, s->mask) &&
            (!s->bytes2 || has(bytes, size, s->offset2, s->bytes2, NULL)))
            return s;
    }
    return NULL;
}

const char *sniff_container(const unsigned char *bytes, size_t size, struct err *e)
{
    const struct signature *s = find(bytes, size);
    if (s && s->read)
        return s->name;
    if (s)
        err_set(e, ERR_UNSUPPORTED, "audio: %s is not read; convert it to " FORMATS_READ, s->name);
    else
        err_set(e, ERR_UNSUPPORTED,
                "audio: %zu bytes that are no audio file of a known kind; expected " FORMATS_READ, size);
    return NULL;
}

static uint32_t read_le32(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

bool sniff_wav_is_whole(const unsigned char *bytes, size_t size, struct err *e)
{
    enum { UNKNOWN_SIZE = 0x7fff0000 }; /* ffmpeg writes 0xffffffff into a pipe, sox and arecord 0x7ffff... */

    if (!has(bytes, size, 0, "RIFF", NULL))
        return true;
    for (size_t at = 12; size >= 8 && at <= size - 8;) {
        uint32_t claimed = read_le32(bytes + at + 4);
        size_t left = size - at - 8;
        if (memcmp(bytes + at, "data", 4) == 0) {
            if (claimed <= left || claimed >= UNKNOWN_SIZE)
                return true;
            return err_set(e, ERR_CORRUPT,
                           "audio: WAV is cut off: its data chunk claims %u bytes, %zu follow; "
                           "send the whole file",
                           claimed, left);
        }
        size_t step = (size_t)claimed + (claimed & 1); /* chunks are padded to even sizes */
        if (step > left)
            return err_set(e, ERR_CORRUPT,
                           "audio: WAV chunk at byte %zu claims %u bytes, %zu follow; "
                           "send the whole file",
                           at, claimed, left);
        at += 8 + step;
    }
    return err_set(e, ERR_CORRUPT, "audio: WAV of %zu bytes without a data chunk", size);
}
