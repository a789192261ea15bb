#include "engine/audio/ogg_headers.h"

#include <ogg/ogg.h>
#include <string.h>
#include <vorbis/codec.h>

enum { VORBIS_HEADERS = 3, PIECE = 4096 };

struct reader {
    const unsigned char *bytes;
    size_t left;
    ogg_sync_state sync;
    ogg_stream_state stream;
};

/* The next page; its bytes live until the next call. False at the end, or where the pages are broken. */
static bool next_page(struct reader *r, ogg_page *page)
{
    int found;
    while ((found = ogg_sync_pageout(&r->sync, page)) == 0) {
        size_t n = r->left < PIECE ? r->left : PIECE;
        char *room = n > 0 ? ogg_sync_buffer(&r->sync, (long)n) : NULL;
        if (!room)
            return false;
        memcpy(room, r->bytes, n);
        r->bytes += n;
        r->left -= n;
        ogg_sync_wrote(&r->sync, (long)n);
    }
    return found == 1;
}

/* The next packet of the stream; pages of other streams are passed over. */
static bool next_packet(struct reader *r, ogg_packet *packet)
{
    int found;
    while ((found = ogg_stream_packetout(&r->stream, packet)) == 0) {
        ogg_page page;
        if (!next_page(r, &page))
            return false;
        ogg_stream_pagein(&r->stream, &page);
    }
    return found == 1;
}

static bool is_opus(const ogg_packet *p)
{
    return p->bytes >= 8 && memcmp(p->packet, "OpusHead", 8) == 0;
}

static bool read_vorbis_headers(struct reader *r, ogg_packet *first)
{
    vorbis_info info;
    vorbis_comment comment;
    vorbis_info_init(&info);
    vorbis_comment_init(&comment);
    bool ok = vorbis_synthesis_headerin(&info, &comment, first) == 0;
    for (int i = 1; ok && i < VORBIS_HEADERS; i++) {
        ogg_packet packet;
        ok = next_packet(r, &packet) && vorbis_synthesis_headerin(&info, &comment, &packet) == 0;
    }
    vorbis_comment_clear(&comment);
    vorbis_info_clear(&info);
    return ok;
}

static bool check_first_stream(struct reader *r, struct err *e)
{
    ogg_page page;
    ogg_packet packet;
    if (!next_page(r, &page) || ogg_stream_init(&r->stream, ogg_page_serialno(&page)) != 0)
        return err_set(e, ERR_CORRUPT, "its first page is broken");
    ogg_stream_pagein(&r->stream, &page);
    if (!next_packet(r, &packet))
        return err_set(e, ERR_CORRUPT, "its first page is broken");
    if (is_opus(&packet))
        return true;
    if (!vorbis_synthesis_idheader(&packet))
        return err_set(e, ERR_UNSUPPORTED, "its first stream is neither vorbis nor opus");
    return read_vorbis_headers(r, &packet) ||
           err_set(e, ERR_CORRUPT, "its vorbis headers are broken or cut off");
}

bool ogg_headers_check(const unsigned char *bytes, size_t size, struct err *e)
{
    struct reader r = {.bytes = bytes, .left = size};
    ogg_sync_init(&r.sync);
    bool ok = check_first_stream(&r, e);
    ogg_stream_clear(&r.stream); /* a zeroed one is fine */
    ogg_sync_clear(&r.sync);
    return ok;
}
