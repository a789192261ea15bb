/* A tokenizer told as its files tell it. */
#include "engine/text/byte_alphabet.h"
#include "engine/text/parts.h"

/* Base tokens by their bytes; added ones are known by id alone. */
static enum token_kind kind_of(const struct tokenizer *t, int id, const unsigned char *bytes, size_t size)
{
    if (size == 0)
        return TOKEN_NONE;
    if (t->special[id])
        return TOKEN_SPECIAL;
    return vocab_find(&t->vocab, bytes, size) == id ? TOKEN_BASE : TOKEN_ADDED;
}

static char *spell(const struct byte_alphabet *alphabet, const unsigned char *bytes, size_t size,
                   struct arena *a)
{
    char *text = arena_alloc(a, size + 1, BYTE_ALPHABET_WIDEST);
    if (text)
        byte_alphabet_encode(alphabet, bytes, size, text);
    return text;
}

static bool tell_token(const struct tokenizer *t, int id, const struct byte_alphabet *alphabet,
                       struct vocabulary_token *out, struct arena *a)
{
    size_t size;
    const unsigned char *bytes = vocab_bytes(&t->vocab, (uint32_t)id, &size);
    out->kind = kind_of(t, id, bytes, size);
    out->text = out->kind == TOKEN_NONE   ? ""
                : out->kind == TOKEN_BASE ? spell(alphabet, bytes, size, a)
                                          : arena_strndup(a, (const char *)bytes, size);
    return out->text != NULL;
}

static bool tell_merges(const struct vocab *v, struct vocabulary *out, struct arena *a)
{
    for (uint32_t i = 0; i <= v->merge_mask; i++) {
        const struct vocab_merge *m = &v->merges[i];
        if (m->rank == 0)
            continue;
        const char **line = &out->merges[m->rank - 1];
        *line = arena_printf(a, "%s %s", out->tokens[m->left].text, out->tokens[m->right].text);
        if (!*line)
            return false;
    }
    return true;
}

bool tokenizer_vocabulary(const struct tokenizer *t, struct vocabulary *out, struct arena *a, struct err *e)
{
    const struct vocab *v = &t->vocab;
    struct byte_alphabet alphabet;
    byte_alphabet_init(&alphabet);
    *out = (struct vocabulary){.tokens = arena_alloc(a, v->room, sizeof *out->tokens),
                               .count = (int)v->room,
                               .merges = arena_alloc(a, v->merge_count, sizeof *out->merges),
                               .merge_count = v->merge_count};
    bool ok = out->tokens && out->merges;
    for (int id = 0; ok && id < out->count; id++)
        ok = tell_token(t, id, &alphabet, &out->tokens[id], a);
    return (ok && tell_merges(v, out, a)) ||
           err_set(e, ERR_MEMORY, "no memory for the words of %d tokens", out->count);
}
