/* tokenizer_config.json: the added tokens, and switches that would change what is computed. */
#include "engine/text/added_json.h"

#include <stdlib.h>
#include <string.h>

/* A key that changes ids or text, and the one value that is computed here. */
struct fixed {
    const char *key;
    const char *word; /* NULL: false */
};

static const struct fixed fixed[] = {
    {"add_prefix_space", NULL},
    {"clean_up_tokenization_spaces", NULL}, /* would rewrite text that was streamed already */
    {"split_special_tokens", NULL},
    {"add_bos_token", NULL},
    {"add_eos_token", NULL},
    {"errors", "replace"},
};

static const char *const classes[] = {"Qwen2Tokenizer", "Qwen2TokenizerFast"};

static bool is_fixed(const struct fixed *f, const json_t *value)
{
    if (!value || json_is_null(value))
        return true;
    if (!f->word)
        return json_is_false(value);
    return json_is_string(value) && strcmp(json_string_value(value), f->word) == 0;
}

static bool check_class(const json_t *value, struct err *e)
{
    if (!value || json_is_null(value))
        return true;
    const char *name = json_is_string(value) ? json_string_value(value) : "?";
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (strcmp(name, classes[i]) == 0)
            return true;
    return err_set(e, ERR_UNSUPPORTED, "tokenizer_class is \"%.60s\", expected Qwen2Tokenizer", name);
}

static bool check_fixed(const json_t *root, struct err *e)
{
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        if (!is_fixed(&fixed[i], json_object_get(root, fixed[i].key)))
            return err_set(e, ERR_UNSUPPORTED, "%s is not %s, the only value that Ferry implements",
                           fixed[i].key, fixed[i].word ? fixed[i].word : "false");
    return check_class(json_object_get(root, "tokenizer_class"), e);
}

static bool parse_id(const char *key, int *id)
{
    size_t digits = strspn(key, "0123456789");
    if (digits == 0 || digits > 9 || key[digits])
        return false;
    *id = atoi(key);
    return true;
}

static bool read_decoder(struct tokenizer *t, json_t *tokens, struct err *e)
{
    const char *key;
    json_t *entry;
    int id;
    if (tokens && !json_is_object(tokens))
        return err_set(e, ERR_CORRUPT, "added_tokens_decoder is not an object, expected ids and tokens");
    json_object_foreach(tokens, key, entry)
    {
        if (!parse_id(key, &id))
            return err_set(e, ERR_CORRUPT, "added_tokens_decoder: \"%.60s\" is not an id", key);
        if (!added_json_read(t, entry, id, e))
            return false;
    }
    return true;
}

bool read_tokenizer_config(struct tokenizer *t, const struct token_file *f, struct err *e)
{
    json_error_t je;
    json_t *root = json_loadb(f->data, f->size, JSON_REJECT_DUPLICATES, &je);
    bool ok = false;
    if (!root)
        err_set(e, ERR_CORRUPT, "line %d: %s", je.line, je.text);
    else if (!json_is_object(root))
        err_set(e, ERR_CORRUPT, "not an object, expected the tokenizer's settings");
    else
        ok = check_fixed(root, e) && read_decoder(t, json_object_get(root, "added_tokens_decoder"), e);
    json_decref(root);
    return ok ? true : err_wrap(e, "tokenizer_config.json");
}
