#include "questions.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WAV_RATE = 16000,        /* Hz */
    WAV_HEADER = 44,         /* bytes */
    QUESTION_ROOM = 4 << 20, /* bytes of a request's body */
};

static void put_le(unsigned char *to, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        to[i] = (unsigned char)(value >> (8 * i));
}

/* A 16-bit mono wav file of a 440 Hz tone. malloc'ed. */
static unsigned char *make_wav(double seconds, size_t *size)
{
    uint32_t samples = (uint32_t)(seconds * WAV_RATE), data = samples * 2;
    unsigned char *wav = calloc(WAV_HEADER + data, 1);
    if (!wav)
        return NULL;
    memcpy(wav, "RIFF....WAVEfmt ", 16);
    memcpy(wav + 36, "data", 4);
    const struct {
        int at, bytes;
        uint32_t value;
    } fields[] = {{4, 4, 36 + data},     {16, 4, 16}, {20, 2, 1},  {22, 2, 1},   {24, 4, WAV_RATE},
                  {28, 4, WAV_RATE * 2}, {32, 2, 2},  {34, 2, 16}, {40, 4, data}};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        put_le(wav + fields[i].at, fields[i].value, fields[i].bytes);
    for (uint32_t i = 0; i < samples; i++)
        put_le(wav + WAV_HEADER + 2 * i, (uint32_t)(int)(8000 * sin(i * 440 * 6.283185 / WAV_RATE)), 2);
    *size = WAV_HEADER + data;
    return wav;
}

/* Base64 (RFC 4648) at out, with a NUL behind it; returns its length. */
static size_t put_base64(char *out, const unsigned char *bytes, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = 0;
    for (size_t i = 0; i < size; i += 3) {
        uint32_t v = (uint32_t)bytes[i] << 16 | (i + 1 < size ? (uint32_t)bytes[i + 1] << 8 : 0) |
                     (i + 2 < size ? bytes[i + 2] : 0);
        for (size_t k = 0; k < 4; k++)
            out[n++] = i + k > size ? '=' : digits[v >> (18 - 6 * k) & 63];
    }
    out[n] = '\0';
    return n;
}

char *question_body(const struct question *q, const char *model, int max_tokens, bool stream)
{
    size_t wav_size = 0, at = 0;
    char *body = malloc(QUESTION_ROOM);
    unsigned char *wav = q->audio_seconds > 0 ? make_wav(q->audio_seconds, &wav_size) : NULL;
    if (!body || (q->audio_seconds > 0 && !wav)) {
        free(body);
        free(wav);
        return NULL;
    }
    at += (size_t)sprintf(
        body + at, "{\"model\":\"%s\",%s\"max_tokens\":%d,\"messages\":[{\"role\":\"user\",\"content\":[",
        model, stream ? "\"stream\":true,\"stream_options\":{\"include_usage\":true}," : "", max_tokens);
    if (wav) {
        at += (size_t)sprintf(body + at,
                              "{\"type\":\"input_audio\",\"input_audio\":{\"format\":\"wav\",\"data\":\"");
        at += put_base64(body + at, wav, wav_size);
        at += (size_t)sprintf(body + at, "\"}},");
    }
    sprintf(body + at, "{\"type\":\"text\",\"text\":\"%s\"}]}]}", q->text);
    free(wav);
    return body;
}
