/* tokenizer.json: everything in one file, as the fast tokenizers keep it. It can describe many kinds of
 * tokenizers; each part must be the one that is implemented here. */
#include "engine/text/added_json.h"
#include "engine/text/spelling.h"

#include <string.h>

/* The one shape that a part of the file may have; keys that are not listed do not matter. */
struct shape {
    const char *path; /* dotted; a number is an index */
    enum { WORD, NO, NONE, PATTERN } want;
    const char *word;
};

static const struct shape shapes[] = {
    {"normalizer.type", WORD, "NFC"},
    {"pre_tokenizer.type", WORD, "Sequence"},
    {"pre_tokenizer.pretokenizers.0.type", WORD, "Split"},
    {"pre_tokenizer.pretokenizers.0.pattern.Regex", PATTERN, NULL},
    {"pre_tokenizer.pretokenizers.0.behavior", WORD, "Isolated"},
    {"pre_tokenizer.pretokenizers.0.invert", NO, NULL},
    {"pre_tokenizer.pretokenizers.1.type", WORD, "ByteLevel"},
    {"pre_tokenizer.pretokenizers.1.add_prefix_space", NO, NULL},
    {"pre_tokenizer.pretokenizers.1.use_regex", NO, NULL},
    {"pre_tokenizer.pretokenizers.2", NONE, NULL},
    {"decoder.type", WORD, "ByteLevel"},
    {"model.type", WORD, "BPE"},
    {"model.dropout", NONE, NULL},
    {"model.unk_token", NONE, NULL},
    {"model.continuing_subword_prefix", NONE, NULL},
    {"model.end_of_word_suffix", NONE, NULL},
    {"model.byte_fallback", NO, NULL},
    {"model.ignore_merges", NO, NULL},
};

/* The value at a dotted path, NULL when it is not there. */
static const json_t *at_path(const json_t *root, const char *path)
{
    while (root && *path) {
        char key[32];
        size_t n = strcspn(path, ".");
        if (n >= sizeof key)
            return NULL;
        memcpy(key, path, n);
        key[n] = '\0';
        root =
            json_is_array(root) ? json_array_get(root, (size_t)(key[0] - '0')) : json_object_get(root, key);
        path += path[n] ? n + 1 : n;
    }
    return root;
}

static bool is_word(const json_t *v, const char *word)
{
    return json_is_string(v) && strcmp(json_string_value(v), word) == 0;
}

static bool has_shape(const struct shape *s, const json_t *v)
{
    switch (s->want) {
    case WORD:
        return is_word(v, s->word);
    case PATTERN:
        return is_word(v, split_pattern);
    case NO:
        return !v || json_is_null(v) || json_is_false(v);
    case NONE:
        return !v || json_is_null(v) || is_word(v, "");
    }
    return false;
}

static bool check_shapes(const json_t *root, struct err *e)
{
    static const char *const expected[] = {[NO] = "false", [NONE] = "nothing", [PATTERN] = "Qwen2's pattern"};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        if (!has_shape(&shapes[i], at_path(root, shapes[i].path)))
            return err_set(e, ERR_UNSUPPORTED,
                           "%s is not what Ferry implements, expected %s (a byte-level BPE like Qwen2's)",
                           shapes[i].path,
                           shapes[i].want == WORD ? shapes[i].word : expected[shapes[i].want]);
    /* A template would put tokens around every text; ByteLevel only moves offsets. */
    const json_t *post = json_object_get(root, "post_processor");
    if (post && !json_is_null(post) && !is_word(json_object_get(post, "type"), "ByteLevel"))
        return err_set(e, ERR_UNSUPPORTED, "post_processor is not what Ferry implements, expected ByteLevel");
    return true;
}

static bool read_vocab(struct tokenizer *t, const struct spelling *s, json_t *vocab, struct err *e)
{
    const char *key;
    json_t *value;
    if (!json_is_object(vocab))
        return err_set(e, ERR_CORRUPT, "model.vocab is not an object, expected tokens and ids");
    json_object_foreach(vocab, key, value)
    {
        json_int_t id = json_integer_value(value);
        if (!json_is_integer(value) || id < 0 || id > INT32_MAX)
            return err_set(e, ERR_CORRUPT, "model.vocab: \"%.60s\" has no id, expected a whole number", key);
        if (!spelling_add_token(s, &t->vocab, key, strlen(key), (int)id, e))
            return err_wrap(e, "model.vocab");
    }
    return vocab_finish(&t->vocab, e) ? true : err_wrap(e, "model.vocab");
}

/* "a b", or ["a", "b"] since tokenizers 0.20. */
static bool read_merge(struct tokenizer *t, const struct spelling *s, const json_t *merge, struct err *e)
{
    const json_t *left = json_array_get(merge, 0), *right = json_array_get(merge, 1);
    if (json_is_string(merge))
        return spelling_add_merge_line(s, &t->vocab, json_string_value(merge), json_string_length(merge), e);
    if (json_array_size(merge) != 2 || !json_is_string(left) || !json_is_string(right))
        return err_set(e, ERR_CORRUPT, "not a merge, expected \"a b\" or [\"a\", \"b\"]");
    return spelling_add_merge(s, &t->vocab, json_string_value(left), json_string_length(left),
                              json_string_value(right), json_string_length(right), e);
}

static bool read_merges(struct tokenizer *t, const struct spelling *s, const json_t *merges, struct err *e)
{
    size_t i;
    json_t *merge;
    if (!json_is_array(merges))
        return err_set(e, ERR_CORRUPT, "model.merges is not an array");
    json_array_foreach(merges, i, merge)
    {
        if (!read_merge(t, s, merge, e))
            return err_wrap(e, "model.merges[%zu]", i);
    }
    return true;
}

static bool read_added(struct tokenizer *t, const json_t *tokens, struct err *e)
{
    size_t i;
    json_t *entry;
    if (tokens && !json_is_null(tokens) && !json_is_array(tokens))
        return err_set(e, ERR_CORRUPT, "added_tokens is not an array");
    json_array_foreach(tokens, i, entry)
    {
        const json_t *id = json_object_get(entry, "id");
        json_int_t n = json_integer_value(id);
        if (!json_is_integer(id) || n < 0 || n > INT32_MAX)
            return err_set(e, ERR_CORRUPT, "added_tokens[%zu] has no id, expected a whole number", i);
        if (!added_json_read(t, entry, (int)n, e))
            return false;
    }
    return true;
}

static bool read_root(struct tokenizer *t, const json_t *root, struct err *e)
{
    struct spelling s;
    spelling_init(&s);
    if (!json_is_object(root))
        return err_set(e, ERR_CORRUPT, "not an object, expected a tokenizer");
    return check_shapes(root, e) &&
           read_vocab(t, &s, json_object_get(json_object_get(root, "model"), "vocab"), e) &&
           read_merges(t, &s, at_path(root, "model.merges"), e) &&
           read_added(t, json_object_get(root, "added_tokens"), e);
}

bool read_tokenizer_json(struct tokenizer *t, const struct token_file *f, struct err *e)
{
    json_error_t je;
    json_t *root = json_loadb(f->data, f->size, JSON_REJECT_DUPLICATES, &je);
    bool ok = root ? read_root(t, root, e) : err_set(e, ERR_CORRUPT, "line %d: %s", je.line, je.text);
    json_decref(root);
    return ok ? true : err_wrap(e, "tokenizer.json");
}
