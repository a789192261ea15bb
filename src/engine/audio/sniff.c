#include "engine/audio/sniff.h"

#include "engine/audio/ogg_headers.h"
#include "engine/audio/wav_headers.h"

#include <string.h>

#define FORMATS_READ "wav, flac, ogg (vorbis or opus) or mp3"

static const struct container wav = {"WAV", &source_sndfile, wav_headers_check};
static const struct container flac = {"FLAC", &source_sndfile, NULL};
static const struct container ogg = {"OGG", &source_sndfile, ogg_headers_check};
static const struct container mp3 = {"MP3", &source_mp3, NULL};
static const struct container aac = {"AAC", NULL, NULL};
static const struct container mp4 = {"M4A/MP4", NULL, NULL};
static const struct container webm = {"WebM/Matroska", NULL, NULL};
static const struct container wma = {"WMA", NULL, NULL};
static const struct container amr = {"AMR", NULL, NULL};
static const struct container aiff = {"AIFF", NULL, NULL};
static const struct container avi = {"AVI", NULL, NULL};

/* `bytes` under `mask` at `offset`, and `bytes2` at `offset2` when it is there. The first that fits counts.
 */
struct signature {
    const struct container *container;
    unsigned offset;
    const char *bytes, *mask; /* mask NULL: all bits count */
    unsigned offset2;
    const char *bytes2;
};

static const struct signature signatures[] = {
    {&wav, 0, "RIFF", NULL, 8, "WAVE"},
    {&wav, 0, "RIFX", NULL, 8, "WAVE"},
    {&wav, 0, "RF64", NULL, 8, "WAVE"},
    {&flac, 0, "fLaC", NULL, 0, NULL},
    {&ogg, 0, "OggS", NULL, 0, NULL},
    {&mp3, 0, "ID3", NULL, 0, NULL},
    /* ISO 13818-7 ADTS and ISO 11172-3 share the sync word; the layer bits tell them apart (00 is AAC). */
    {&aac, 0, "\xff\xf0", "\xff\xf6", 0, NULL},
    {&mp3, 0, "\xff\xe0", "\xff\xe0", 0, NULL},
    {&mp4, 4, "ftyp", NULL, 0, NULL},
    {&webm, 0, "\x1a\x45\xdf\xa3", NULL, 0, NULL},
    {&wma, 0, "\x30\x26\xb2\x75", NULL, 0, NULL},
    {&amr, 0, "#!AMR", NULL, 0, NULL},
    {&aiff, 0, "FORM", NULL, 8, "AIF"},
    {&avi, 0, "RIFF", NULL, 8, "AVI "},
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

static const struct container *find(const unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < sizeof signatures / sizeof *signatures; i++) {
        const struct signature *s = &signatures[i];
        if (has(bytes, size, s->offset, s->bytes, s->mask) &&
            (!s->bytes2 || has(bytes, size, s->offset2, s->bytes2, NULL)))
            return s->container;
    }
    return NULL;
}

const struct container *sniff_container(const unsigned char *bytes, size_t size, struct err *e)
{
    const struct container *c = find(bytes, size);
    if (c && c->kind)
        return c;
    if (c)
        err_set(e, ERR_UNSUPPORTED, "audio: %s is not read; convert it to " FORMATS_READ, c->name);
    else
        err_set(e, ERR_UNSUPPORTED,
                "audio: %zu bytes that are no audio file of a known kind; expected " FORMATS_READ, size);
    return NULL;
}
