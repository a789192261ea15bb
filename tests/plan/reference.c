#include "reference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void read_config(struct model_config *c)
{
    json_t *all = json_load_file("data/models/qwen2-audio-7b-instruct.reconstructed.json", 0, NULL);
    char *texts[3];
    static const char *const names[] = {"config.json", "generation_config.json", "preprocessor_config.json"};
    for (int i = 0; i < 3; i++)
        assert_non_null(texts[i] = json_dumps(json_object_get(all, names[i]), 0));
    assert_true(model_config_parse(c, texts[0], texts[1], texts[2], NULL));
    for (int i = 0; i < 3; i++)
        free(texts[i]);
    json_decref(all);
}

/* Counted from the list of tensors, not from the config. */
static void count(struct census *c, const json_t *shapes)
{
    const char *name;
    const json_t *shape;
    void *at = json_object_iter((json_t *)(uintptr_t)shapes);
    for (; at; at = json_object_iter_next((json_t *)(uintptr_t)shapes, at)) {
        uint64_t values = 1;
        name = json_object_iter_key(at);
        shape = json_object_iter_value(at);
        assert_true(*name && json_array_size(shape) > 0);
        for (size_t i = 0; i < json_array_size(shape); i++)
            values *= (uint64_t)json_integer_value(json_array_get(shape, i));
        census_add_tensor(c, "BF16", values, 2 * values);
    }
    c->file_bytes = c->bytes;
    c->largest_file = 3980819456;
}

void reference_open(struct reference *r)
{
    *r = (struct reference){0};
    read_config(&r->model.config);
    r->listed = json_load_file("data/models/qwen2-audio-tensors.json", 0, NULL);
    r->shapes = json_object_get(r->listed, "shapes");
    assert_non_null(r->shapes);
    count(&r->model.census, r->shapes);
    r->weights = weights_new(&r->model.config, NULL);
    assert_non_null(r->weights);
    r->dtypes = calloc(r->weights->slot_count, sizeof *r->dtypes);
    for (size_t i = 0; i < r->weights->slot_count; i++)
        r->dtypes[i] = DTYPE_BF16;
    r->model.runs = true;
    r->model.weights = r->weights;
    r->model.dtypes = r->dtypes;
}

void reference_close(struct reference *r)
{
    weights_free(r->weights);
    free(r->dtypes);
    json_decref(r->listed);
}
