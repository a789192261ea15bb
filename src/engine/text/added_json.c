#include "engine/text/added_json.h"

#include <string.h>

struct flag {
    const char *key;
    size_t offset; /* of a bool in struct added_token */
};

static const struct flag flags[] = {
    {"special", offsetof(struct added_token, special)},
    {"lstrip", offsetof(struct added_token, lstrip)},
    {"rstrip", offsetof(struct added_token, rstrip)},
    {"normalized", offsetof(struct added_token, normalized)},
    {"single_word", offsetof(struct added_token, single_word)},
};

static bool read_token(struct added_token *a, const json_t *entry, struct err *e)
{
    const json_t *content = json_object_get(entry, "content");
    if (!json_is_string(content))
        return err_set(e, ERR_CORRUPT, "content is not a string, expected the token's text");
    a->text = json_string_value(content);
    a->size = json_string_length(content);
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        const json_t *value = json_object_get(entry, flags[i].key);
        if (value && !json_is_boolean(value))
            return err_set(e, ERR_CORRUPT, "%s is not true or false", flags[i].key);
        bool yes = json_is_true(value);
        memcpy((char *)a + flags[i].offset, &yes, sizeof yes);
    }
    return true;
}

bool added_json_read(struct tokenizer *t, const json_t *entry, int id, struct err *e)
{
    struct added_token a = {.id = id};
    if (read_token(&a, entry, e) && tokenizer_add(t, &a, e))
        return true;
    return err_wrap(e, "added token %d", id);
}
