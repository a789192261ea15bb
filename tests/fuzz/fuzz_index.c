/* model.safetensors.index.json. No accepted name may lead out of the folder. */
#include "model/shard_index.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct shard_index x;
    struct err e = {0};
    if (!shard_index_parse(&x, (const char *)data, size, &e)) {
        check(e.kind != ERR_NONE && e.text[0] && !strchr(e.text, '\n'));
        return 0;
    }
    check(x.count > 0 && x.count <= SHARD_INDEX_MAX_SHARDS && x.count <= x.tensors);
    for (size_t i = 0; i < x.count; i++)
        check(!strchr(x.shards[i], '/') && x.shards[i][0] != '.' && strstr(x.shards[i], ".safetensors"));
    shard_index_clear(&x);
    return 0;
}
