/* build_note.c: what this program says of itself (target/build_note.h), for who has only the file. */
#include "target/build_note.h"

#include "commit.h" /* made by the build: FERRY_REVISION, FERRY_REVISION_DATE */

#include <stdint.h>

#define TEXT                                                                                                 \
    "{\"version\":\"" FERRY_VERSION "\",\"revision\":\"" FERRY_REVISION "\",\"date\":" FERRY_REVISION_DATE   \
    ",\"source\":\"" FERRY_SOURCE_URL "\"}"

/* An ELF note; names and texts are filled up to four bytes. */
struct note {
    uint32_t owner_size, text_size, type;
    char owner[(sizeof BUILD_NOTE_OWNER + 3) / 4 * 4];
    char text[(sizeof TEXT + 3) / 4 * 4];
};

__attribute__((section(".note.ferry"), used, aligned(4))) static const struct note note = {
    sizeof BUILD_NOTE_OWNER, sizeof TEXT, BUILD_NOTE_TYPE, BUILD_NOTE_OWNER, TEXT};
