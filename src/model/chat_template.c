#include "model/chat_template.h"

#include "base/file.h"

#include <jansson.h>

static const char key[] = "chat_template";

/* NULL without an error when the file or the key is not there. */
static bool read_from(const char **text, const char *folder, const char *name, struct arena *a, struct err *e)
{
    json_error_t at;
    const char *path = arena_printf(a, "%s/%s", folder, name);
    if (!path)
        return err_set(e, ERR_MEMORY, "no memory for a chat template");
    if (!file_exists(path))
        return true;
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &at), *value = json_object_get(root, key);
    bool ok = true;
    if (!root)
        ok = err_set(e, ERR_CORRUPT, "%s: line %d: %s", path, at.line, at.text);
    else if (!json_is_object(root) || (value && !json_is_string(value) && !json_is_null(value)))
        ok = err_set(e, ERR_CORRUPT, "%s: expected an object with a %s that is text", path, key);
    else if (json_is_string(value) &&
             !(*text = arena_strndup(a, json_string_value(value), json_string_length(value))))
        ok = err_set(e, ERR_MEMORY, "no memory for a chat template");
    json_decref(root);
    return ok;
}

bool chat_template_read(const char **text, const char *folder, struct arena *a, struct err *e)
{
    *text = NULL;
    return read_from(text, folder, "chat_template.json", a, e) &&
           (*text || read_from(text, folder, "tokenizer_config.json", a, e));
}
