#include "text_data.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

json_t *text_data_json(const char *path)
{
    json_error_t je;
    json_t *root = json_load_file(path, JSON_ALLOW_NUL, &je);
    if (!root)
        fail_msg("%s: line %d: %s", path, je.line, je.text);
    return root;
}

struct tokenizer *text_data_tokenizer(const char *folder, int vocab)
{
    struct err e = {0};
    const struct file_source files = file_source_folder(folder);
    struct tokenizer *t = tokenizer_new(&files, vocab, &e);
    if (!t)
        fail_msg("%s", e.text);
    return t;
}

char *text_data_file(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("%s: not there", path);
    fseek(f, 0, SEEK_END);
    *size = (size_t)ftell(f);
    rewind(f);
    char *bytes = malloc(*size + 1);
    if (!bytes || fread(bytes, 1, *size, f) != *size)
        fail_msg("%s: cannot be read", path);
    bytes[*size] = '\0';
    fclose(f);
    return bytes;
}
