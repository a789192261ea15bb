#include "model_files.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

const char tiny_text_config[] =
    "{\"model_type\": \"qwen2\", \"architectures\": [\"Qwen2ForCausalLM\"], \"hidden_size\": 48,"
    " \"num_hidden_layers\": 2, \"num_attention_heads\": 6, \"num_key_value_heads\": 3,"
    " \"intermediate_size\": 80, \"vocab_size\": 200, \"max_position_embeddings\": 4096,"
    " \"rms_norm_eps\": 1e-06, \"rope_theta\": 1000000.0, \"tie_word_embeddings\": true,"
    " \"use_sliding_window\": false, \"eos_token_id\": 7, \"torch_dtype\": \"bfloat16\"}";

struct scratch {
    char path[300];
};

struct scratch *scratch_new(void)
{
    struct scratch *s = calloc(1, sizeof *s);
    const char *tmp = getenv("TMPDIR");
    if (!s)
        return NULL;
    snprintf(s->path, sizeof s->path, "%.200s/ferry-model-XXXXXX", tmp ? tmp : "/tmp");
    if (mkdtemp(s->path))
        return s;
    free(s);
    return NULL;
}

void scratch_free(struct scratch *s)
{
    DIR *d = opendir(s->path);
    for (struct dirent *entry; d && (entry = readdir(d));) {
        char path[600];
        scratch_file(s, path, sizeof path, entry->d_name);
        if (entry->d_name[0] != '.' && unlink(path) != 0)
            rmdir(path);
    }
    if (d)
        closedir(d);
    rmdir(s->path);
    free(s);
}

const char *scratch_path(const struct scratch *s)
{
    return s->path;
}

void scratch_file(const struct scratch *s, char *path, size_t room, const char *name)
{
    snprintf(path, room, "%s/%s", s->path, name);
}

void scratch_write(const struct scratch *s, const char *name, const void *bytes, size_t size)
{
    char path[600];
    scratch_file(s, path, sizeof path, name);
    unlink(path); /* a link is replaced, not followed */
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    fclose(f);
}

void scratch_write_json(const struct scratch *s, const char *name, const json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);
    assert_non_null(text);
    scratch_write(s, name, text, strlen(text));
    free(text);
}

json_t *load_json_file(const char *path)
{
    json_error_t at;
    json_t *json = json_load_file(path, 0, &at);
    if (!json)
        fail_msg("%s: %s", path, at.text);
    return json;
}

void json_patch(json_t *root, const char *path, const char *value)
{
    const char *dot;
    for (; (dot = strchr(path, '.')); path = dot + 1) {
        char key[100];
        snprintf(key, sizeof key, "%.*s", (int)(dot - path), path);
        root = json_object_get(root, key);
        assert_non_null(root);
    }
    if (!value) {
        json_object_del(root, path);
        return;
    }
    json_t *parsed = json_loads(value, JSON_DECODE_ANY, NULL);
    assert_non_null(parsed);
    assert_int_equal(json_object_set_new(root, path, parsed), 0);
}

void layout_begin(struct layout *l)
{
    *l = (struct layout){.header = json_object()};
    json_object_set_new(l->header, "__metadata__", json_pack("{s:s}", "format", "pt"));
}

void layout_add(struct layout *l, const char *name, const char *dtype, int bits, const int *shape, int dims)
{
    size_t bytes = (size_t)bits / 8;
    json_t *sizes = json_array();
    for (int i = 0; i < dims; i++) {
        bytes *= (size_t)shape[i];
        json_array_append_new(sizes, json_integer(shape[i]));
    }
    json_object_set_new(l->header, name,
                        json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtype, "shape", sizes, "data_offsets",
                                  (json_int_t)l->bytes, (json_int_t)(l->bytes + bytes)));
    l->bytes += bytes;
}

void layout_end(struct layout *l)
{
    json_decref(l->header);
}

void scratch_write_safetensors(const struct scratch *s, const char *name, const json_t *header,
                               size_t data_bytes)
{
    char *text = json_dumps(header, JSON_COMPACT);
    assert_non_null(text);
    size_t n = strlen(text), padded = (n + 7) / 8 * 8;
    unsigned char *file = malloc(8 + padded + data_bytes);
    assert_non_null(file);
    for (size_t i = 0; i < 8; i++)
        file[i] = (unsigned char)(padded >> 8 * i);
    memset(file + 8, ' ', padded);
    memcpy(file + 8, text, n);
    for (size_t i = 0; i < data_bytes; i++)
        file[8 + padded + i] = (unsigned char)(i * 31);
    scratch_write(s, name, file, 8 + padded + data_bytes);
    free(file);
    free(text);
}

static void add_slot(struct layout *l, const struct weight_slot *slot, enum dtype dtype,
                     const struct model_change *change)
{
    const char *name = slot->name, *type = dtype_name(dtype);
    const int *shape = slot->shape;
    int bits = 8 * (int)dtype_bytes(dtype), dims = slot->dims;
    if (change && change->tensor && strcmp(change->tensor, name) == 0) {
        if (change->skip)
            return;
        name = change->name ? change->name : name;
        type = change->dtype ? change->dtype : type;
        bits = change->dtype ? change->bits : bits;
        shape = change->dims ? change->shape : shape;
        dims = change->dims ? change->dims : dims;
    }
    layout_add(l, name, type, bits, shape, dims);
}

void scratch_write_model(const struct scratch *s, const char *config, enum dtype dtype,
                         const struct model_change *change)
{
    struct model_config c;
    struct err e = {0};
    struct layout l;
    assert_true(model_config_parse(&c, config, NULL, NULL, &e));
    struct weights *w = weights_new(&c, &e);
    assert_non_null(w);
    layout_begin(&l);
    for (size_t i = 0; i < w->slot_count; i++)
        add_slot(&l, &w->slots[i], dtype, change);
    if (change && change->extra)
        layout_add(&l, change->extra, "F32", 32, (int[]){2}, 1);
    scratch_write(s, "config.json", config, strlen(config));
    scratch_write_safetensors(s, "model.safetensors", l.header, l.bytes);
    layout_end(&l);
    weights_free(w);
}

void scratch_link_tiny_audio(const struct scratch *s)
{
    DIR *d = opendir(TINY_AUDIO);
    assert_non_null(d);
    for (struct dirent *entry; (entry = readdir(d));) {
        char from[600], *target;
        if (entry->d_name[0] == '.')
            continue;
        snprintf(from, sizeof from, "%s/%s", TINY_AUDIO, entry->d_name);
        target = realpath(from, NULL);
        scratch_file(s, from, sizeof from, entry->d_name);
        assert_int_equal(symlink(target, from), 0);
        free(target);
    }
    closedir(d);
}
