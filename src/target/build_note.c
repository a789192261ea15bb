#include "target/build_note.h"

#include "target/elf/elf.h"

#include <jansson.h>
#include <string.h>

/* A member that is text without control characters, copied; NULL: it is not. */
static const char *text_of(const json_t *note, const char *key, struct arena *a)
{
    const char *text = json_string_value(json_object_get(note, key));
    for (const char *c = text; c && *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return NULL;
    }
    return text ? arena_strndup(a, text, strlen(text)) : NULL;
}

static bool read_json(struct build_note *out, const json_t *note, struct arena *a)
{
    const json_t *date = json_object_get(note, "date");
    *out = (struct build_note){.version = text_of(note, "version", a),
                               .revision = text_of(note, "revision", a),
                               .source = text_of(note, "source", a),
                               .date = json_integer_value(date)};
    return out->version && *out->version && out->revision && out->source && json_is_integer(date) &&
           out->date >= 0;
}

bool build_note_read(struct build_note *out, const void *program, size_t size, struct arena *a, struct err *e)
{
    const char *text;
    size_t text_size;
    if (!elf_note(program, size, BUILD_NOTE_OWNER, BUILD_NOTE_TYPE, &text, &text_size))
        return err_set(e, ERR_CORRUPT, "not a ferry program, or one from before images");
    json_t *note = json_loadb(text, strnlen(text, text_size), JSON_REJECT_DUPLICATES, NULL);
    bool ok = note && read_json(out, note, a);
    json_decref(note);
    return ok || err_set(e, ERR_CORRUPT, "a ferry program whose note about itself cannot be read");
}
