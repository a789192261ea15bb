#include "model/shard_index.h"

#include "base/catalog.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* A plain file name: nothing that leads out of the folder, nor back to the index itself. */
static bool is_shard_name(const char *name)
{
    static const char suffix[] = ".safetensors";
    size_t n = strlen(name), tail = sizeof suffix - 1;
    return n > tail && n < 256 && name[0] != '.' && !strchr(name, '/') &&
           strcmp(name + n - tail, suffix) == 0;
}

static bool add_shard(struct shard_index *x, const char *shard, struct err *e)
{
    if (x->count == SHARD_INDEX_MAX_SHARDS)
        return err_set(e, ERR_LIMIT, "more than %d shards, expected at most that many",
                       SHARD_INDEX_MAX_SHARDS);
    x->shards[x->count++] = shard;
    return true;
}

/* Each shard once, in the order of its first tensor. `seen` is a set: an object with the shards as keys. */
static bool add_entry(struct shard_index *x, json_t *seen, const char *tensor, const json_t *value,
                      struct err *e)
{
    const char *shard = json_string_value(value);
    if (!shard || !is_shard_name(shard))
        return err_set(
            e, ERR_CORRUPT,
            "tensor %.200s: shard %.200s, expected the plain name of a .safetensors file in the folder",
            tensor, shard ? shard : _("is not a string"));
    if (json_object_get(seen, shard))
        return true;
    if (json_object_set_new(seen, shard, json_true()) != 0)
        return err_set(e, ERR_MEMORY, "no memory for the names of shards");
    return add_shard(x, shard, e);
}

static bool read_map(struct shard_index *x, json_t *map, struct err *e)
{
    const char *tensor;
    json_t *value;
    if (json_object_size(map) == 0) /* 0 too when it is no object */
        return err_set(e, ERR_CORRUPT, "weight_map is missing or empty, expected {tensor: shard}");
    x->tensors = json_object_size(map);
    json_t *seen = json_object();
    x->shards = calloc(SHARD_INDEX_MAX_SHARDS, sizeof *x->shards);
    bool ok = (seen && x->shards) || err_set(e, ERR_MEMORY, "no memory for the names of shards");
    json_object_foreach(map, tensor, value)
    {
        if (ok)
            ok = add_entry(x, seen, tensor, value, e);
    }
    json_decref(seen);
    return ok;
}

bool shard_index_parse(struct shard_index *x, const char *text, size_t bytes, struct err *e)
{
    json_error_t at;
    *x = (struct shard_index){.json = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &at)};
    bool ok = x->json ? read_map(x, json_object_get(x->json, "weight_map"), e)
                      : err_set(e, ERR_CORRUPT, "line %d: %s, expected JSON", at.line, at.text);
    if (!ok)
        shard_index_clear(x);
    return ok;
}

void shard_index_clear(struct shard_index *x)
{
    free(x->shards);
    json_decref(x->json);
    *x = (struct shard_index){0};
}

const char *shard_index_find(const struct shard_index *x, const char *tensor)
{
    return json_string_value(json_object_get(json_object_get(x->json, "weight_map"), tensor));
}
