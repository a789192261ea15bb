#include "cmd/choose.h"

#include "store/uri.h"

#include <string.h>

/* What stands beside safetensors in repositories on the hub and holds the same weights. */
static const char *const duplicates[] = {
    "*.bin",     "*.bin.index.json", "*.pt",      "*.pth",       "*.ckpt",
    "*.h5",      "*.msgpack",        "*.ot",      "*.onnx",      "*.gguf",
    "*.tflite",  "*.nemo",           "*.mar",     "*.onnx_data", "*.onnx_data_*",
    "*.pkl",     "*.keras",          "original/", "onnx/",       "coreml/",
    "openvino/",
};

/* Mistral's repositories hold all weights a second time under this name. */
static const char consolidated[] = "consolidated*.safetensors";

static const char *base_of(const char *name)
{
    const char *slash = strrchr(name, '/');
    return slash ? slash + 1 : name;
}

enum { NAME_ROOM = 1100 }; /* Cloud Storage has names of up to 1024 bytes */

/* "original/" and "a/original/": all whose path begins with it. */
static bool folder_hits(const char *pattern, const char *name)
{
    char alone[NAME_ROOM], folder[NAME_ROOM];
    size_t length = strlen(pattern) - 1, n;
    if (length >= sizeof alone)
        return false;
    *(char *)mempcpy(alone, pattern, length) = 0;
    for (const char *slash = name; (slash = strchr(slash, '/')); slash++) {
        n = (size_t)(slash - name);
        if (n >= sizeof folder)
            return false;
        *(char *)mempcpy(folder, name, n) = 0;
        if (wildcard_match(alone, strchr(alone, '/') ? folder : base_of(folder)))
            return true;
    }
    return false;
}

bool pattern_hits(const char *pattern, const char *name)
{
    size_t length = strlen(pattern);
    if (length && pattern[length - 1] == '/')
        return folder_hits(pattern, name);
    return wildcard_match(pattern, strchr(pattern, '/') ? name : base_of(name));
}

bool patterns_hit(const struct text_list *patterns, const char *name)
{
    for (int i = 0; i < patterns->count; i++)
        if (pattern_hits(patterns->items[i], name))
            return true;
    return false;
}

static bool is_duplicate(const char *name)
{
    for (size_t i = 0; i < sizeof duplicates / sizeof *duplicates; i++)
        if (pattern_hits(duplicates[i], name))
            return true;
    return false;
}

/* Safetensors that count as the model: not those in original/ and the like. */
static bool any_weights(const char *const *names, int count, bool consolidated_too)
{
    for (int i = 0; i < count; i++)
        if (pattern_hits("*.safetensors", names[i]) && !is_duplicate(names[i]) &&
            (consolidated_too || !pattern_hits(consolidated, names[i])))
            return true;
    return false;
}

void choose_files(const char *const *names, int count, const struct text_list *include,
                  const struct text_list *exclude, enum choice *choices)
{
    bool weights = any_weights(names, count, true), others = any_weights(names, count, false);
    for (int i = 0; i < count; i++) {
        bool twice = (weights && is_duplicate(names[i])) || (others && pattern_hits(consolidated, names[i]));
        choices[i] = CHOICE_TAKEN;
        if (patterns_hit(exclude, names[i]))
            choices[i] = CHOICE_EXCLUDED;
        else if (include->count)
            choices[i] = patterns_hit(include, names[i]) ? CHOICE_TAKEN : CHOICE_EXCLUDED;
        else if (twice)
            choices[i] = CHOICE_DUPLICATE;
    }
}
