#include "engine/audio/wav_headers.h"

#include <stdint.h>
#include <string.h>

enum {
    RIFF_HEADER = 12,
    CHUNK_HEADER = 8,
    UNKNOWN_SIZE = 0x7fff0000, /* ffmpeg writes 0xffffffff into a pipe, sox and arecord 0x7ffff... */
};

static uint32_t read_le32(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static bool check_data_chunk(uint32_t claimed, size_t left, struct err *e)
{
    if (claimed <= left || claimed >= UNKNOWN_SIZE)
        return true;
    return err_set(e, ERR_CORRUPT, "cut off: its data chunk claims %u bytes, %zu follow; send the whole file",
                   claimed, left);
}

bool wav_headers_check(const unsigned char *bytes, size_t size, struct err *e)
{
    if (size < RIFF_HEADER || memcmp(bytes, "RIFF", 4) != 0)
        return true;
    for (size_t at = RIFF_HEADER; size - at >= CHUNK_HEADER;) {
        uint32_t claimed = read_le32(bytes + at + 4);
        size_t left = size - at - CHUNK_HEADER;
        if (memcmp(bytes + at, "data", 4) == 0)
            return check_data_chunk(claimed, left, e);
        size_t step = (size_t)claimed + (claimed & 1); /* chunks are padded to even sizes */
        if (step > left)
            return err_set(e, ERR_CORRUPT,
                           "cut off: its chunk at byte %zu claims %u bytes, %zu follow; send the whole file",
                           at, claimed, left);
        at += CHUNK_HEADER + step;
    }
    return err_set(e, ERR_CORRUPT, "%zu bytes without a data chunk", size);
}
