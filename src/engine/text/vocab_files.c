/* vocab.json and merges.txt. */
#include "engine/text/json_map.h"
#include "engine/text/parts.h"
#include "engine/text/spelling.h"

#include <string.h>

bool read_vocab_json(struct tokenizer *t, const struct token_file *f, struct err *e)
{
    struct spelling s;
    struct json_map m;
    enum json_map_step step;
    spelling_init(&s);
    json_map_init(&m, f->data, f->size);
    while ((step = json_map_next(&m, e)) == JSON_MAP_ENTRY)
        if (!spelling_add_token(&s, &t->vocab, m.key, m.key_size, m.value, e))
            return err_wrap(e, "vocab.json");
    if (step == JSON_MAP_BAD || !vocab_finish(&t->vocab, e))
        return err_wrap(e, "vocab.json");
    return true;
}

/* Bytes of the line at `at`, its end left out; *next: where the following one begins. */
static size_t line_size(const struct token_file *f, size_t at, size_t *next)
{
    const char *newline = memchr(f->data + at, '\n', f->size - at);
    size_t size = newline ? (size_t)(newline - f->data) - at : f->size - at;
    *next = at + size + 1;
    if (size && f->data[at + size - 1] == '\r')
        size--;
    return size;
}

bool read_merges_txt(struct tokenizer *t, const struct token_file *f, struct err *e)
{
    static const char version[] = "#version"; /* some repositories have "#version: 0.2" as the first line */
    struct spelling s;
    spelling_init(&s);
    for (size_t at = 0, next, line = 1; at < f->size; at = next, line++) {
        size_t size = line_size(f, at, &next);
        bool header = line == 1 && size >= strlen(version) && !memcmp(f->data, version, strlen(version));
        if (size == 0 || header)
            continue;
        if (!spelling_add_merge_line(&s, &t->vocab, f->data + at, size, e))
            return err_wrap(e, "merges.txt: line %zu", line);
    }
    return true;
}
