#include "engine/tokenizer.h"

#include "base/arena.h"
#include "base/checked.h"
#include "engine/text/bpe.h"
#include "engine/text/nfc.h"
#include "engine/text/parts.h"
#include "engine/text/utf8_piece.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_IDS = 64, MAX_FILE_BYTES = 64 << 20 }; /* the real tokenizer.json has 7 MB */

bool ids_push(struct ids *ids, int id, struct err *e)
{
    if (ids->count == ids->room) {
        size_t room = ids->room ? ids->room * 2 : FIRST_IDS, bytes;
        int *more = checked_mul(room, sizeof *more, &bytes) ? realloc(ids->data, bytes) : NULL;
        if (!more)
            return err_set(e, ERR_MEMORY, "no memory for %zu token ids", room);
        ids->data = more;
        ids->room = room;
    }
    ids->data[ids->count++] = id;
    return true;
}

void ids_clear(struct ids *ids)
{
    free(ids->data);
    *ids = (struct ids){0};
}

/* Reading. */

static bool put_added(struct tokenizer *t, const struct added_token *a, struct err *e)
{
    if (!a->normalized)
        return added_put(&t->raw, a, e);
    struct added_token form = *a;
    char *text = nfc_compose(a->text, a->size, &form.size, e);
    form.text = text;
    bool ok = text && added_put(&t->normalized, &form, e);
    free(text);
    return ok;
}

bool tokenizer_add(struct tokenizer *t, const struct added_token *a, struct err *e)
{
    if (a->size == 0 || a->size > ADDED_MAX_BYTES)
        return err_set(e, ERR_LIMIT, "its text has %zu bytes, expected 1 to %d", a->size, ADDED_MAX_BYTES);
    if (a->single_word)
        return err_set(e, ERR_UNSUPPORTED, "single_word is true, which Ferry does not implement");
    if (!vocab_place(&t->vocab, a->text, a->size, a->id, e) || !put_added(t, a, e))
        return false;
    t->special[a->id] = a->special;
    return true;
}

static bool read_files(struct tokenizer *t, const struct token_files *f, struct err *e)
{
    if (f->vocab.data && f->merges.data && f->config.data)
        return read_vocab_json(t, &f->vocab, e) && read_merges_txt(t, &f->merges, e) &&
               read_tokenizer_config(t, &f->config, e);
    if (f->json.data)
        return read_tokenizer_json(t, &f->json, e);
    return err_set(
        e, ERR_NOT_FOUND,
        "no tokenizer: expected vocab.json, merges.txt and tokenizer_config.json, or tokenizer.json");
}

static bool tokenizer_init(struct tokenizer *t, int vocab, struct err *e)
{
    if (vocab < 1)
        return err_set(e, ERR_USAGE, "a vocabulary of %d tokens, expected at least 1", vocab);
    t->special = calloc((size_t)vocab, sizeof *t->special);
    if (!t->special)
        return err_set(e, ERR_MEMORY, "no memory for a vocabulary of %d tokens", vocab);
    t->splitter = splitter_new(e);
    return t->splitter && vocab_init(&t->vocab, vocab, e) && added_init(&t->raw, e) &&
           added_init(&t->normalized, e);
}

struct tokenizer *tokenizer_parse(const struct token_files *f, int vocab, struct err *e)
{
    struct tokenizer *t = calloc(1, sizeof *t);
    if (!t) {
        err_set(e, ERR_MEMORY, "no memory for a tokenizer");
        return NULL;
    }
    if (tokenizer_init(t, vocab, e) && read_files(t, f, e))
        return t;
    tokenizer_free(t);
    return NULL;
}

void tokenizer_free(struct tokenizer *t)
{
    if (!t)
        return;
    vocab_clear(&t->vocab);
    added_clear(&t->raw);
    added_clear(&t->normalized);
    splitter_free(t->splitter);
    free(t->special);
    free(t);
}

static bool read_file(const struct file_source *files, const char *name, struct arena *a,
                      struct token_file *f, struct err *e)
{
    return files->read(files, name, MAX_FILE_BYTES, a, &f->data, &f->size, e);
}

/* tokenizer.json is the largest of them: read only where it is needed. */
static bool read_token_files(const struct file_source *files, struct arena *a, struct token_files *f,
                             struct err *e)
{
    if (!read_file(files, "vocab.json", a, &f->vocab, e) ||
        !read_file(files, "merges.txt", a, &f->merges, e) ||
        !read_file(files, "tokenizer_config.json", a, &f->config, e))
        return false;
    return (f->vocab.data && f->merges.data && f->config.data) ||
           read_file(files, "tokenizer.json", a, &f->json, e);
}

struct tokenizer *tokenizer_new(const struct file_source *files, int vocab, struct err *e)
{
    struct token_files f = {0};
    struct tokenizer *t = NULL;
    struct arena *a = arena_new(5 * (size_t)MAX_FILE_BYTES);
    if (!a)
        err_set(e, ERR_MEMORY, "%s: no memory for its tokenizer", files->where);
    else if (read_token_files(files, a, &f, e) && !(t = tokenizer_parse(&f, vocab, e)))
        err_wrap(e, "%s", files->where);
    arena_free(a);
    return t;
}

/* Encoding. */

struct encoder {
    const struct tokenizer *t;
    struct split *split;
    struct bpe bpe;
    struct ids *out;
};

static bool encode_plain(struct encoder *c, const char *text, size_t size, struct err *e)
{
    for (size_t at = 0, n; at < size; at += n) {
        n = split_next(c->split, text, size, at, e);
        if (n == 0 || !bpe_encode(&c->bpe, &c->t->vocab, (const unsigned char *)text + at, n, c->out, e))
            return false;
    }
    return true;
}

typedef bool piece_fn(struct encoder *c, const char *text, size_t size, struct err *e);

/* The added tokens of one kind to their ids, what stands between them to fn. */
static bool cut_added(struct encoder *c, const struct added *a, const char *text, size_t size, piece_fn *fn,
                      struct err *e)
{
    size_t at = 0;
    for (struct added_match m; added_find(a, text, size, at, &m); at = m.end)
        if (!fn(c, text + at, m.begin - at, e) || !ids_push(c->out, m.id, e))
            return false;
    return fn(c, text + at, size - at, e);
}

static bool encode_normal_form(struct encoder *c, const char *text, size_t size, piece_fn *fn, struct err *e)
{
    if (nfc_settled(text, size))
        return fn(c, text, size, e);
    size_t n;
    char *form = nfc_compose(text, size, &n, e);
    bool ok = form && fn(c, form, n, e);
    free(form);
    return ok;
}

static bool cut_normalized(struct encoder *c, const char *text, size_t size, struct err *e)
{
    return cut_added(c, &c->t->normalized, text, size, encode_plain, e);
}

static bool encode_piece(struct encoder *c, const char *text, size_t size, struct err *e)
{
    return encode_normal_form(c, text, size, cut_normalized, e);
}

bool tokenizer_encode(const struct tokenizer *t, const char *text, size_t size, enum token_specials specials,
                      struct ids *out, struct err *e)
{
    size_t valid = utf8_valid((const unsigned char *)text, size);
    if (valid != size)
        return err_set(e, ERR_USAGE, "the text is not UTF-8 at byte %zu of %zu", valid, size);
    if (size > INT_MAX)
        return err_set(e, ERR_LIMIT, "a text of %zu bytes, expected at most %d", size, INT_MAX);
    struct encoder c = {.t = t, .split = split_new(t->splitter, e), .out = out};
    bool ok =
        c.split && (specials == SPECIALS_AS_TOKENS ? cut_added(&c, &t->raw, text, size, encode_piece, e)
                                                   : encode_normal_form(&c, text, size, encode_plain, e));
    split_free(c.split);
    bpe_clear(&c.bpe);
    return ok;
}

/* Looking up. */

int tokenizer_added(const struct tokenizer *t, const char *text)
{
    int id = added_exact(&t->raw, text, strlen(text));
    return id >= 0 ? id : added_exact(&t->normalized, text, strlen(text));
}

const char *tokenizer_name(const struct tokenizer *t, int id, size_t *size)
{
    return (const char *)vocab_bytes(&t->vocab, (uint32_t)id, size);
}

const char *tokenizer_bytes(const struct tokenizer *t, int id, size_t *size)
{
    const char *bytes = tokenizer_name(t, id, size);
    if (*size == 0 || !t->special[id])
        return bytes;
    *size = 0;
    return NULL;
}
