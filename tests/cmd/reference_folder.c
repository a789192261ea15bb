#include "reference_folder.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { SHARDS = 5 };

/* As the shards of such models are cut: the next one begins when 4 GB would be passed. */
#define SHARD_MOST 4000000000u

static json_t *load(const char *tests, const char *name)
{
    char path[600];
    snprintf(path, sizeof path, "%s/data/models/%s", tests, name);
    json_t *root = json_load_file(path, 0, NULL);
    assert_non_null(root);
    return root;
}

static uint64_t bytes_of(const json_t *shape)
{
    uint64_t bytes = 2;
    for (size_t i = 0; i < json_array_size(shape); i++)
        bytes *= (uint64_t)json_integer_value(json_array_get(shape, i));
    return bytes;
}

static void shard_name(char out[80], const char *folder, int shard)
{
    snprintf(out, 80, "%.20s%smodel-%05d-of-%05d.safetensors", folder, *folder ? "/" : "", shard, SHARDS);
}

static void write_shard(const char *folder, int shard, json_t *header, uint64_t data)
{
    char path[80];
    shard_name(path, folder, shard);
    char *text = json_dumps(header, JSON_COMPACT);
    uint64_t n =
        (strlen(text) + 7) / 8 * 8; /* spaces bring the data to a multiple of 8, as the reference does */
    text = realloc(text, n + 1);
    memset(text + strlen(text), ' ', n - strlen(text));
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, &n, sizeof n), sizeof n); /* little-endian, as everything that ferry runs on */
    assert_int_equal(write(fd, text, n), n);
    assert_int_equal(ftruncate(fd, (off_t)(sizeof n + n + data)), 0);
    close(fd);
    free(text);
    json_decref(header);
}

static void write_shards(const char *folder, json_t *shapes, json_t *map)
{
    const char *name;
    json_t *shape, *header = json_object();
    int shard = 1;
    uint64_t at = 0;
    char file[80];
    json_object_foreach(shapes, name, shape)
    {
        uint64_t bytes = bytes_of(shape);
        if (at + bytes > SHARD_MOST) {
            write_shard(folder, shard++, header, at);
            header = json_object();
            at = 0;
        }
        json_object_set_new(header, name,
                            json_pack("{s:s, s:O, s:[I, I]}", "dtype", "BF16", "shape", shape, "data_offsets",
                                      (json_int_t)at, (json_int_t)(at + bytes)));
        shard_name(file, "", shard);
        json_object_set_new(map, name, json_string(file));
        at += bytes;
    }
    write_shard(folder, shard, header, at);
    assert_int_equal(shard, SHARDS);
}

static void write_json(const char *folder, const char *name, const json_t *root)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(json_dump_file(root, path, JSON_COMPACT), 0);
}

void reference_folder_make(const char *folder, const char *tests)
{
    static const char *const names[] = {"config.json", "generation_config.json", "preprocessor_config.json"};
    json_t *configs = load(tests, "qwen2-audio-7b-instruct.reconstructed.json");
    json_t *tensors = load(tests, "qwen2-audio-tensors.json"), *map = json_object();
    assert_int_equal(mkdir(folder, 0700), 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        write_json(folder, names[i], json_object_get(configs, names[i]));
    write_shards(folder, json_object_get(tensors, "shapes"), map);
    json_t *index = json_pack("{s:o}", "weight_map", map);
    write_json(folder, "model.safetensors.index.json", index);
    json_decref(index);
    json_decref(configs);
    json_decref(tensors);
}
