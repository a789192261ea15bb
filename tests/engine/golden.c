#include "golden.h"

#include "base/file.h"
#include "engine/audio.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define FOLDER "data/goldens/"

static const char *const case_names[GOLDEN_CASES] = {
    "a_text",       "b_short",     "c_12s",       "d_30s",        "e_34s",
    "f_two_audios", "g_multiturn", "h_one_token", "i_voice_only", "j_text_first",
};

struct npy golden_array(const struct golden *g, const char *file)
{
    char path[300];
    snprintf(path, sizeof path, FOLDER "%s/%s", g->name, file);
    return file_exists(path) ? npy_read(path) : (struct npy){0};
}

int *golden_ids(struct arena *a, const json_t *array, int *count)
{
    *count = (int)json_array_size(array);
    int *ids = arena_alloc(a, (size_t)*count, sizeof *ids);
    assert_non_null(ids);
    for (int i = 0; i < *count; i++)
        ids[i] = (int)json_integer_value(json_array_get(array, (size_t)i));
    return ids;
}

static struct mel read_clip(const char *file, const struct mel_plan *plan, struct arena *a)
{
    char path[300];
    struct file_map map = {0};
    struct audio audio = {0};
    struct mel mel = {0};
    struct err e = {0};
    snprintf(path, sizeof path, FOLDER "%s", file);
    if (!file_map(&map, path, &e) || !audio_decode(&audio, map.data, map.size, 16000, 60, &e))
        fail_msg("%s: %s", path, e.text);
    size_t count = audio.count < 480000 ? audio.count : 480000; /* e_34s: the reference cuts at a window */
    if (!mel_compute(plan, audio.samples, count, a, &mel, &e))
        fail_msg("%s: %s", path, e.text);
    audio_clear(&audio);
    file_unmap(&map);
    return mel;
}

static void read_case(struct golden *g, const char *name, const struct mel_plan *plan, struct arena *a)
{
    char path[300];
    json_error_t error;
    g->name = name;
    snprintf(path, sizeof path, FOLDER "%s/case.json", name);
    g->json = json_load_file(path, 0, &error);
    if (!g->json)
        fail_msg("%s: %s", path, error.text);
    const json_t *files = json_object_get(g->json, "audio_files");
    g->prompt.ids = golden_ids(a, json_object_get(g->json, "input_ids"), &g->prompt.count);
    g->prompt.clip_count = (int)json_array_size(files);
    g->prompt.clips = g->clips;
    assert_in_range(g->prompt.clip_count, 0, GOLDEN_MAX_CLIPS);
    for (int i = 0; i < g->prompt.clip_count; i++) {
        char array[32];
        g->clips[i] = read_clip(json_string_value(json_array_get(files, (size_t)i)), plan, a);
        snprintf(array, sizeof array, "encoder%d.npy", i);
        g->encoder[i] = golden_array(g, array);
        snprintf(array, sizeof array, "projector%d.npy", i);
        g->projector[i] = golden_array(g, array);
        assert_int_equal(g->encoder[i].shape[0], mel_tokens(g->clips[i].frames));
    }
    g->greedy = golden_ids(a, json_object_get(json_object_get(g->json, "greedy"), "ids"), &g->steps);
    g->prefill_last4 = golden_array(g, "prefill_logits_last4.npy");
    g->step_logits = golden_array(g, "step_logits.npy");
    assert_int_equal(g->step_logits.shape[0], g->steps);
    assert_int_equal(g->prefill_last4.shape[0], 4);
}

struct goldens *goldens_open(void)
{
    struct goldens *g = calloc(1, sizeof *g);
    struct err e = {0};
    assert_non_null(g);
    g->arena = arena_new(64 << 20);
    if (!model_open(&g->model, "data/models/tiny-qwen2-audio", FOLDER_MAP, NULL, &e))
        fail_msg("%s", e.text);
    struct mel_plan *plan = mel_plan_new(&g->model.config.mel, &e);
    if (!plan)
        fail_msg("%s", e.text);
    for (int i = 0; i < GOLDEN_CASES; i++)
        read_case(&g->cases[i], case_names[i], plan, g->arena);
    mel_plan_free(plan);
    return g;
}

void goldens_close(struct goldens *g)
{
    for (int i = 0; i < GOLDEN_CASES; i++) {
        struct golden *c = &g->cases[i];
        json_decref(c->json);
        npy_free(&c->prefill_last4);
        npy_free(&c->step_logits);
        for (int k = 0; k < GOLDEN_MAX_CLIPS; k++) {
            npy_free(&c->encoder[k]);
            npy_free(&c->projector[k]);
        }
    }
    model_close(&g->model);
    arena_free(g->arena);
    free(g);
}
