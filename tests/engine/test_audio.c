/* Audio files in memory: every kind is made here by libsndfile, or byte by byte where it would refuse to. */
#include "engine/audio.h"

#include <math.h>
#include <setjmp.h>
#include <sndfile.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { RATE = 16000 };

/* A file being written to memory. */
struct bytes {
    unsigned char *data;
    sf_count_t size, at, room;
};

static sf_count_t bytes_size(void *user)
{
    return ((struct bytes *)user)->size;
}

static sf_count_t bytes_tell(void *user)
{
    return ((struct bytes *)user)->at;
}

static sf_count_t bytes_seek(sf_count_t offset, int whence, void *user)
{
    struct bytes *b = user;
    return b->at = offset + (whence == SEEK_CUR ? b->at : whence == SEEK_END ? b->size : 0);
}

static sf_count_t bytes_read(void *to, sf_count_t n, void *user)
{
    struct bytes *b = user;
    n = n < b->size - b->at ? n : b->size - b->at;
    memcpy(to, b->data + b->at, (size_t)n);
    b->at += n;
    return n;
}

static sf_count_t bytes_write(const void *from, sf_count_t n, void *user)
{
    struct bytes *b = user;
    if (b->at + n > b->room) {
        b->room = 2 * (b->at + n);
        b->data = realloc(b->data, (size_t)b->room);
        assert_non_null(b->data);
    }
    memcpy(b->data + b->at, from, (size_t)n);
    b->at += n;
    b->size = b->at > b->size ? b->at : b->size;
    return n;
}

static struct bytes encode(int format, int rate, int channels, const float *frames, size_t count)
{
    SF_VIRTUAL_IO io = {bytes_size, bytes_seek, bytes_read, bytes_write, bytes_tell};
    SF_INFO info = {.samplerate = rate, .channels = channels, .format = format};
    struct bytes b = {0};
    SNDFILE *f = sf_open_virtual(&io, SFM_WRITE, &info, &b);
    if (!f)
        fail_msg("format %x: %s", (unsigned)format, sf_strerror(NULL));
    /* vorbis: https://github.com/libsndfile/libsndfile/issues/130, large writes overflow its stack */
    for (size_t at = 0; at < count; at += 1024) {
        sf_count_t n = (sf_count_t)(count - at < 1024 ? count - at : 1024);
        assert_int_equal(sf_writef_float(f, frames + at * (size_t)channels, n), n);
    }
    sf_close(f);
    return b;
}

/* A tone in the first channel, its inverse in the third, nothing in the others. */
static float *make_tone(int rate, int channels, double hz, double level, size_t count)
{
    float *frames = calloc(count * (size_t)channels, sizeof *frames);
    assert_non_null(frames);
    for (size_t i = 0; i < count; i++)
        frames[i * (size_t)channels] = (float)(level * sin(2 * M_PI * hz * (double)i / rate));
    return frames;
}

/* Amplitude of one frequency, over the samples' middle. */
static double level_of(const struct audio *a, double hz)
{
    double re = 0, im = 0;
    size_t from = a->count / 4, to = a->count - a->count / 4;
    for (size_t i = from; i < to; i++) {
        re += (double)a->samples[i] * cos(2 * M_PI * hz * (double)i / RATE);
        im += (double)a->samples[i] * sin(2 * M_PI * hz * (double)i / RATE);
    }
    return 2 * sqrt(re * re + im * im) / (double)(to - from);
}

static double rms_of(const struct audio *a)
{
    double sum = 0;
    size_t from = a->count / 4, to = a->count - a->count / 4;
    for (size_t i = from; i < to; i++)
        sum += (double)a->samples[i] * (double)a->samples[i];
    return sqrt(sum / (double)(to - from));
}

static struct audio decode(const struct bytes *b, double max_seconds)
{
    struct audio a;
    struct err e = {0};
    if (!audio_decode(&a, b->data, (size_t)b->size, RATE, max_seconds, &e))
        fail_msg("%s", e.text);
    return a;
}

struct source {
    int format, rate, channels;
    const char *name;
    double tolerance;   /* of the tone's level */
    size_t most_padded; /* samples a lossy coder may add */
};

static const struct source sources[] = {
    {SF_FORMAT_WAV | SF_FORMAT_PCM_16, 8000, 2, "WAV", 0.001, 0},
    {SF_FORMAT_WAV | SF_FORMAT_PCM_16, 16000, 1, "WAV", 0.001, 0},
    {SF_FORMAT_WAV | SF_FORMAT_PCM_16, 11025, 1, "WAV", 0.001, 0},
    {SF_FORMAT_WAV | SF_FORMAT_PCM_24, 44100, 2, "WAV", 0.001, 0},
    {SF_FORMAT_WAV | SF_FORMAT_PCM_32, 48000, 6, "WAV", 0.001, 0},
    {SF_FORMAT_WAV | SF_FORMAT_PCM_U8, 22050, 1, "WAV", 0.01, 0},
    {SF_FORMAT_WAV | SF_FORMAT_FLOAT, 16000, 1, "WAV", 0.001, 0},
    {SF_FORMAT_WAV | SF_FORMAT_DOUBLE, 96000, 1, "WAV", 0.001, 0},
    {SF_FORMAT_WAV | SF_FORMAT_ULAW, 8000, 1, "WAV", 0.02, 0},
    {SF_FORMAT_WAV | SF_FORMAT_MS_ADPCM, 8000, 1, "WAV", 0.02, 2048},
    {SF_FORMAT_WAVEX | SF_FORMAT_PCM_16, 16000, 64, "WAV", 0.001, 0},
    {SF_FORMAT_WAV | SF_ENDIAN_BIG | SF_FORMAT_PCM_16, 16000, 1, "WAV", 0.001, 0},
    {SF_FORMAT_RF64 | SF_FORMAT_PCM_16, 16000, 1, "WAV", 0.001, 0},
    {SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 16000, 1, "FLAC", 0.001, 0},
    {SF_FORMAT_FLAC | SF_FORMAT_PCM_24, 48000, 2, "FLAC", 0.001, 0},
    {SF_FORMAT_OGG | SF_FORMAT_VORBIS, 44100, 2, "OGG", 0.05, 0},
    {SF_FORMAT_OGG | SF_FORMAT_OPUS, 48000, 1, "OGG", 0.05, 0},
    {SF_FORMAT_OGG | SF_FORMAT_OPUS, 16000, 2, "OGG", 0.05, 0},
    {SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, 44100, 2, "MP3", 0.05, 1200},
    {SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, 16000, 1, "MP3", 0.05, 1200},
};

static void tone_keeps_frequency_level_and_length(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        const struct source *s = &sources[i];
        size_t count = (size_t)s->rate * 3 / 2; /* 1.5 s */
        float *tone = make_tone(s->rate, s->channels, 440, 0.5, count);
        struct bytes file = encode(s->format, s->rate, s->channels, tone, count);
        struct audio a = decode(&file, 2);
        double want = 0.5 / s->channels; /* the mean with silent channels */

        print_message("%-4s %6d Hz, %2d channels: %zu samples, level %.4f of %.4f, rms %.4f\n",
                      a.source_format, s->rate, s->channels, a.count, level_of(&a, 440), want, rms_of(&a));
        assert_string_equal(a.source_format, s->name);
        assert_int_equal(a.source_rate, s->rate);
        assert_int_equal(a.source_channels, s->channels);
        assert_in_range(a.count, RATE * 3 / 2 - 1, RATE * 3 / 2 + 1 + s->most_padded);
        assert_true(fabs(level_of(&a, 440) - want) <= s->tolerance * want);
        assert_true(fabs(rms_of(&a) * sqrt(2) - want) <= s->tolerance * want); /* and nothing beside it */
        audio_clear(&a);
        free(file.data);
        free(tone);
    }
}

static void tone_above_the_new_rate_does_not_fold_back(void **state)
{
    (void)state;
    float *tone = make_tone(44100, 1, 12000, 0.9, 44100);
    struct bytes file = encode(SF_FORMAT_WAV | SF_FORMAT_FLOAT, 44100, 1, tone, 44100);
    struct audio a = decode(&file, 2);
    assert_true(rms_of(&a) < 1e-4);
    audio_clear(&a);
    free(file.data);
    free(tone);
}

static void every_16_bit_value_comes_out_exactly(void **state)
{
    (void)state;
    static const int formats[] = {SF_FORMAT_WAV | SF_FORMAT_PCM_16, SF_FORMAT_FLAC | SF_FORMAT_PCM_16};
    float *ramp = malloc(65536 * sizeof *ramp);
    for (int i = 0; i < 65536; i++)
        ramp[i] = (float)(i - 32768) / 32768;
    for (size_t f = 0; f < sizeof formats / sizeof *formats; f++) {
        struct bytes file = encode(formats[f], RATE, 1, ramp, 65536);
        struct audio a = decode(&file, 5);
        assert_int_equal(a.count, 65536);
        /* sf_write_float scales by 32767, so the file's own values are read back as integers */
        SF_VIRTUAL_IO io = {bytes_size, bytes_seek, bytes_read, NULL, bytes_tell};
        SF_INFO info = {0};
        file.at = 0;
        SNDFILE *again = sf_open_virtual(&io, SFM_READ, &info, &file);
        short *want = malloc(65536 * sizeof *want);
        assert_int_equal(sf_readf_short(again, want, 65536), 65536);
        for (int i = 0; i < 65536; i++)
            assert_true(a.samples[i] == (float)want[i] / 32768);
        free(want);
        sf_close(again);
        audio_clear(&a);
        free(file.data);
    }
    free(ramp);
}

static void put(unsigned char *p, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        p[i] = (unsigned char)(v >> 8 * i);
}

/* A WAV header as the fields say, true or not, with `data` bytes of zeros behind it. */
struct wav {
    unsigned tag, channels, rate, bits, claimed, data;
};

static struct bytes make_wav(const struct wav *w)
{
    struct bytes b = {.size = (sf_count_t)w->data + 44};
    b.data = calloc(1, (size_t)b.size);
    memcpy(b.data, "RIFF", 4);
    put(b.data + 4, (uint64_t)w->claimed + 36, 4);
    memcpy(b.data + 8, "WAVEfmt ", 8);
    put(b.data + 16, 16, 4);
    put(b.data + 20, w->tag, 2);
    put(b.data + 22, w->channels, 2);
    put(b.data + 24, w->rate, 4);
    put(b.data + 28, (uint64_t)w->rate * w->channels * w->bits / 8, 4);
    put(b.data + 32, w->channels * w->bits / 8, 2);
    put(b.data + 34, w->bits, 2);
    memcpy(b.data + 36, "data", 4);
    put(b.data + 40, w->claimed, 4);
    return b;
}

struct bad_wav {
    struct wav wav;
    enum err_kind kind;
    const char *message;
};

#define BROKEN_WAV                                                                                           \
    "audio: WAV: its header is broken, or its codec is not read; expected for example 16-bit PCM"

static const struct bad_wav bad_wavs[] = {
    {{1, 1000, 16000, 16, 4000, 4000}, ERR_UNSUPPORTED, "audio: WAV: 1000 channels, expected 1 to 64"},
    {{1, 65535, 16000, 16, 4000, 4000}, ERR_CORRUPT, BROKEN_WAV},
    {{1, 0, 16000, 16, 4000, 4000}, ERR_CORRUPT, BROKEN_WAV},
    {{1, 1, 0, 16, 4000, 4000}, ERR_CORRUPT, BROKEN_WAV},
    {{1, 1, 999, 16, 4000, 4000}, ERR_UNSUPPORTED, "audio: WAV: sample rate 999 Hz, expected 1000 to 768000"},
    {{1, 1, 1000000000, 16, 4000, 4000},
     ERR_UNSUPPORTED,
     "audio: WAV: sample rate 1000000000 Hz, expected 1000 to 768000"},
    {{0x4143, 1, 16000, 16, 4000, 4000}, ERR_CORRUPT, BROKEN_WAV},
    {{1, 1, 16000, 16, 4001, 4000},
     ERR_CORRUPT,
     "audio: WAV: cut off: its data chunk claims 4001 bytes, 4000 follow; send the whole file"},
    {{1, 1, 16000, 16, 0x7ffeffff, 4000},
     ERR_CORRUPT,
     "audio: WAV: cut off: its data chunk claims 2147418111 bytes, 4000 follow; send the whole file"},
    {{1, 1, 16000, 16, 0, 0}, ERR_CORRUPT, "audio: WAV: no samples in it"},
    {{1, 1, 16000, 16, 32002, 32002},
     ERR_LIMIT,
     "audio: WAV: longer than 1 seconds, the most that is taken here"},
    {{1, 1, 48000, 16, 96002, 96002},
     ERR_LIMIT,
     "audio: WAV: longer than 1 seconds, the most that is taken here"},
    {{1, 1, 768000, 16, 2, 2}, ERR_CORRUPT, "audio: WAV: no samples in it"}, /* less than one at 16 kHz */
};

static void refused(const void *bytes, size_t size, enum err_kind kind, const char *message)
{
    struct audio a;
    struct err e = {0};
    if (audio_decode(&a, bytes, size, RATE, 1, &e))
        fail_msg("decoded %zu samples, expected: %s", a.count, message);
    assert_string_equal(e.text, message);
    assert_int_equal(e.kind, kind);
    assert_null(a.samples);
}

static void hostile_wav_header_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_wavs / sizeof *bad_wavs; i++) {
        struct bytes b = make_wav(&bad_wavs[i].wav);
        refused(b.data, (size_t)b.size, bad_wavs[i].kind, bad_wavs[i].message);
        free(b.data);
    }
}

static void wav_of_unknown_length_is_read_to_its_end(void **state)
{
    (void)state;
    static const unsigned claims[] = {0xffffffff, 0x7fffffff, 0x7ffff000};
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
        struct bytes b = make_wav(&(struct wav){1, 1, RATE, 16, claims[i], 4000});
        struct audio a = decode(&b, 1);
        assert_int_equal(a.count, 2000);
        audio_clear(&a);
        free(b.data);
    }
}

struct foreign {
    const char *bytes;
    size_t size;
    const char *message;
};

#define READS "wav, flac, ogg (vorbis or opus) or mp3"
#define UNKNOWN(n) "audio: " n " bytes that are no audio file of a known kind; expected " READS

static const struct foreign foreigns[] = {
    {"", 0, UNKNOWN("0")},
    {"R", 1, UNKNOWN("1")},
    {"RIFF\x04\0\0\0WAV", 11, UNKNOWN("11")},
    {"Dear service, please listen", 27, UNKNOWN("27")},
    {"\0\0\0\x20"
     "ftypM4A \0\0\0\0",
     16, "audio: M4A/MP4 is not read; convert it to " READS},
    {"\x1a\x45\xdf\xa3\x01\0\0\0", 8, "audio: WebM/Matroska is not read; convert it to " READS},
    {"\xff\xf1\x50\x80\x03\xdf\xfc", 7, "audio: AAC is not read; convert it to " READS},
    {"\x30\x26\xb2\x75\x8e\x66\xcf\x11", 8, "audio: WMA is not read; convert it to " READS},
    {"#!AMR\n", 6, "audio: AMR is not read; convert it to " READS},
    {"FORM\0\0\0\x04"
     "AIFF",
     12, "audio: AIFF is not read; convert it to " READS},
    {"RIFF\x04\0\0\0AVI LIST", 16, "audio: AVI is not read; convert it to " READS},
};

static void other_kinds_of_files_are_refused_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof foreigns / sizeof *foreigns; i++) {
        char *exact = malloc(foreigns[i].size ? foreigns[i].size : 1); /* a read past the end is seen */
        memcpy(exact, foreigns[i].bytes, foreigns[i].size);
        refused(exact, foreigns[i].size, ERR_UNSUPPORTED, foreigns[i].message);
        free(exact);
    }
}

static void values_that_are_no_samples_are_refused(void **state)
{
    (void)state;
    static const float values[] = {NAN, -INFINITY, INFINITY, 1e30f, -65537};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        float *tone = make_tone(RATE, 2, 440, 0.5, 8000);
        tone[15999] = values[i];
        struct bytes b = encode(SF_FORMAT_WAV | SF_FORMAT_FLOAT, RATE, 2, tone, 8000);
        refused(b.data, (size_t)b.size, ERR_CORRUPT,
                "audio: WAV: a sample near 0.26 s is not a number, or far beyond full scale");
        free(b.data);
        free(tone);
    }
}

static void wav_chunks_are_followed_to_the_data(void **state)
{
    (void)state;
    struct bytes b = make_wav(&(struct wav){1, 1, RATE, 16, 100, 100});
    memcpy(b.data + 36, "LIST", 4);
    refused(b.data, (size_t)b.size, ERR_CORRUPT, "audio: WAV: 144 bytes without a data chunk");
    put(b.data + 40, 0xffffffff, 4);
    refused(
        b.data, (size_t)b.size, ERR_CORRUPT,
        "audio: WAV: cut off: its chunk at byte 36 claims 4294967295 bytes, 100 follow; send the whole file");
    put(b.data + 40, 11, 4); /* odd: one byte of padding behind it */
    memcpy(b.data + 56, "data", 4);
    put(b.data + 60, 80, 4);
    struct audio a = decode(&b, 1);
    assert_int_equal(a.count, 40);
    audio_clear(&a);
    free(b.data);
}

static void broken_ogg_and_mp3_headers_are_refused(void **state)
{
    (void)state;
    float *tone = make_tone(RATE, 1, 440, 0.5, 1000);
    struct bytes vorbis = encode(SF_FORMAT_OGG | SF_FORMAT_VORBIS, RATE, 1, tone, 1000);
    struct bytes flac = encode(SF_FORMAT_FLAC | SF_FORMAT_PCM_16, RATE, 1, tone, 1000);
    struct bytes mp3 = encode(SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, RATE, 1, tone, 1000);

    refused(vorbis.data, 1000, ERR_CORRUPT, "audio: OGG: its vorbis headers are broken or cut off");
    refused(vorbis.data, 30, ERR_CORRUPT, "audio: OGG: its first page is broken");
    vorbis.data[40] ^= 1; /* its checksum fails */
    refused(vorbis.data, (size_t)vorbis.size, ERR_CORRUPT, "audio: OGG: its first page is broken");
    refused(flac.data, 30, ERR_CORRUPT,
            "audio: FLAC: its header is broken, or its codec is not read; expected for example 16-bit PCM");
    refused(mp3.data, 20, ERR_CORRUPT, "audio: MP3: no MPEG audio frame in it");
    refused("ID3\4\0\0\0\0\0\0", 10, ERR_CORRUPT, "audio: MP3: no MPEG audio frame in it");
    free(vorbis.data);
    free(flac.data);
    free(mp3.data);
    free(tone);
}

struct cut {
    int format;
    bool refused; /* else: the part that is there comes out */
};

static const struct cut cuts[] = {
    {SF_FORMAT_WAV | SF_FORMAT_PCM_16, true},           {SF_FORMAT_FLAC | SF_FORMAT_PCM_16, true},
    {SF_FORMAT_OGG | SF_FORMAT_VORBIS, false},          {SF_FORMAT_OGG | SF_FORMAT_OPUS, false},
    {SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, false},
};

static float *make_noise(size_t count)
{
    float *noise = malloc(count * sizeof *noise);
    uint32_t random = 1;
    for (size_t i = 0; i < count; i++) {
        random = random * 1664525 + 1013904223;
        noise[i] = (float)(random >> 8) / (1 << 24) - 0.5f;
    }
    return noise;
}

static void file_cut_in_half_is_refused_where_it_states_its_length(void **state)
{
    (void)state;
    enum { COUNT = 20 * RATE }; /* an ogg page holds some seconds */
    float *noise = make_noise(COUNT);
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        struct bytes b = encode(cuts[i].format, RATE, 1, noise, COUNT);
        struct audio a;
        struct err e = {0};
        bool ok = audio_decode(&a, b.data, (size_t)b.size / 2, RATE, 30, &e);
        print_message("%06x: %zu samples %s\n", (unsigned)cuts[i].format, a.count, e.text);
        assert_int_equal(ok, !cuts[i].refused);
        if (ok)
            assert_in_range(a.count, COUNT / 3, COUNT * 2 / 3);
        else
            assert_int_equal(e.kind, ERR_CORRUPT);
        audio_clear(&a);
        free(b.data);
    }
    free(noise);
}

/* Decodes a copy with three bytes changed, among the first `within`. */
static void check_hit(const struct bytes *b, uint32_t *random, uint32_t within)
{
    unsigned char *hit = malloc((size_t)b->size);
    memcpy(hit, b->data, (size_t)b->size);
    for (int k = 0; k < 3; k++) {
        *random = *random * 1664525 + 1013904223;
        hit[(*random >> 8) % within] ^= (unsigned char)(*random >> 24);
    }
    struct audio a;
    struct err e = {0};
    bool ok = audio_decode(&a, hit, (size_t)b->size, RATE, 1, &e);
    assert_int_equal(ok, e.kind == ERR_NONE);
    assert_true(ok == (a.count > 0) && a.count <= RATE + 1);
    for (size_t s = 0; s < a.count; s++)
        assert_true(isfinite(a.samples[s]));
    audio_clear(&a);
    free(hit);
}

/* Wherever a file is hit, the answer is a message or samples within the limits; ASan watches. */
static void damaged_file_is_refused_or_plausible(void **state)
{
    (void)state;
    uint32_t random = 1;
    float *tone = make_tone(RATE, 1, 440, 0.5, 15000);
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        struct bytes b = encode(cuts[i].format, RATE, 1, tone, 15000);
        for (int round = 0; round < 60; round++)
            check_hit(&b, &random, round < 30 ? 64 : (uint32_t)b.size);
        free(b.data);
    }
    free(tone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_wav_header_is_refused),
        cmocka_unit_test(broken_ogg_and_mp3_headers_are_refused),
        cmocka_unit_test(other_kinds_of_files_are_refused_by_name),
        cmocka_unit_test(values_that_are_no_samples_are_refused),
        cmocka_unit_test(wav_chunks_are_followed_to_the_data),
        cmocka_unit_test(file_cut_in_half_is_refused_where_it_states_its_length),
        cmocka_unit_test(damaged_file_is_refused_or_plausible),
        cmocka_unit_test(wav_of_unknown_length_is_read_to_its_end),
        cmocka_unit_test(every_16_bit_value_comes_out_exactly),
        cmocka_unit_test(tone_keeps_frequency_level_and_length),
        cmocka_unit_test(tone_above_the_new_rate_does_not_fold_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
