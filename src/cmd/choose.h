/* choose.h: which files of a model repository are worth copying. Names only: nothing is looked at. */
#ifndef FERRY_CMD_CHOOSE_H
#define FERRY_CMD_CHOOSE_H

#include "cmd/option.h"

enum choice {
    CHOICE_TAKEN,
    CHOICE_DUPLICATE, /* the same weights in another format */
    CHOICE_EXCLUDED,  /* --exclude, or not what --include asks for */
};

/* A pattern with a slash is compared with the whole name, one without with the last part of it; one that ends
 * in a slash stands for all below such a folder. */
bool pattern_hits(const char *pattern, const char *name);
bool patterns_hit(const struct text_list *patterns, const char *name);

/* choices[i] for names[i]. Where there are safetensors, weights in other formats (*.bin, *.pt, *.onnx, GGUF,
 * original/, …) are duplicates, unless a pattern of `include` asks for them. */
void choose_files(const char *const *names, int count, const struct text_list *include,
                  const struct text_list *exclude, enum choice *choices);

#endif
