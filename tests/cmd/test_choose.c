#include "cmd/choose.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void pattern_without_a_slash_means_the_last_part(void **state)
{
    static const struct {
        const char *pattern, *name;
        bool hits;
    } cases[] = {
        {"*.bin", "pytorch_model.bin", true},
        {"*.bin", "sub/x.bin", true},
        {"*.bin", "x.bin/y", false},
        {"*.bin", "x.bins", false},
        {"sub/*.bin", "sub/x.bin", true},
        {"sub/*.bin", "a/sub/x.bin", false},
        {"sub/*.bin", "sub/a/x.bin", false},
        {"sub/**", "sub/a/x.bin", true},
        {"original/", "original/a", true},
        {"original/", "original/a/b", true},
        {"original/", "x/original/a", true},
        {"original/", "original", false},
        {"original/", "my_original/a", false},
        {"a/b/", "a/b/c", true},
        {"a/b/", "x/a/b/c", false},
        {"config.json", "config.json", true},
        {"config.json", "a/config.json", true},
        {"config.json", "xconfig.json", false},
        {"音*", "音声.wav", true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (pattern_hits(cases[i].pattern, cases[i].name) != cases[i].hits)
            fail_msg("\"%s\" and \"%s\"", cases[i].pattern, cases[i].name);
}

/* names and what becomes of each: t taken, d duplicate, x excluded. */
struct repository {
    struct text_list include, exclude;
    const char *names[16];
    const char *choices;
};

#define LIST(...)                                                                                            \
    {                                                                                                        \
        .items = {__VA_ARGS__}, .count = sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)              \
    }

static const struct repository repositories[] = {
    {.names = {"config.json", "model-00001-of-00002.safetensors", "model.safetensors.index.json",
               "pytorch_model-00001-of-00002.bin", "pytorch_model.bin.index.json",
               "original/consolidated.00.pth", "original/params.json", "onnx/model.onnx", "onnx/config.json",
               "tf_model.h5", "q4/model-q4.gguf", "flax_model.msgpack", "README.md", "rust_model.ot",
               "model.onnx_data"},
     .choices = "tttdddddddddtdd"},
    {.names = {"config.json", "pytorch_model.bin", "original/x.pth", "model.onnx"}, .choices = "tttt"},
    {.names = {"original/model.safetensors", "pytorch_model.bin"}, .choices = "tt"},
    {.names = {"model-00001-of-00001.safetensors", "consolidated.safetensors"}, .choices = "td"},
    {.names = {"consolidated-00001-of-00002.safetensors", "params.json"}, .choices = "tt"},
    {.include = LIST("*.bin"), .names = {"a.safetensors", "a.bin", "config.json"}, .choices = "xtx"},
    {.exclude = LIST("*.md", "onnx/"),
     .names = {"a.safetensors", "README.md", "onnx/a.onnx"},
     .choices = "txx"},
    {.include = LIST("*.json"), .exclude = LIST("b*"), .names = {"a.json", "b.json"}, .choices = "tx"},
};

static void safetensors_make_other_weights_duplicates(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof repositories / sizeof *repositories; i++) {
        const struct repository *r = &repositories[i];
        enum choice choices[16];
        int count = (int)strlen(r->choices);
        choose_files(r->names, count, &r->include, &r->exclude, choices);
        for (int k = 0; k < count; k++)
            if ("tdx"[choices[k]] != r->choices[k])
                fail_msg("repository %zu: %s is %c, expected %c", i, r->names[k], "tdx"[choices[k]],
                         r -> choices[k]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pattern_without_a_slash_means_the_last_part),
        cmocka_unit_test(safetensors_make_other_weights_duplicates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
