#include "engine/chat.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum special { IM_START, IM_END, AUDIO_BOS, AUDIO, AUDIO_EOS, SPECIALS };

/* Qwen2AudioProcessor.default_chat_template. */
static const char *const special_names[SPECIALS] = {
    [IM_START] = "<|im_start|>", [IM_END] = "<|im_end|>",       [AUDIO_BOS] = "<|audio_bos|>",
    [AUDIO] = "<|AUDIO|>",       [AUDIO_EOS] = "<|audio_eos|>",
};
static const char template_system[] = "You are a helpful assistant.";

/* What a conversation is written to. */
struct sink {
    bool (*text)(struct sink *s, const char *text, size_t size, struct err *e);
    bool (*special)(struct sink *s, enum special which, struct err *e);
    bool (*clip)(struct sink *s, const struct mel *clip, struct err *e); /* its placeholders */
};

static bool put_text(struct sink *s, const char *text, struct err *e)
{
    return s->text(s, text, strlen(text), e);
}

/* The template itself. */

static bool write_clip(struct sink *s, const struct mel *clip, int number, struct err *e)
{
    char label[32];
    snprintf(label, sizeof label, "Audio %d: ", number);
    return put_text(s, label, e) && s->special(s, AUDIO_BOS, e) && s->clip(s, clip, e) &&
           s->special(s, AUDIO_EOS, e) && put_text(s, "\n", e);
}

static bool write_part(struct sink *s, const struct chat_part *p, int *number, struct err *e)
{
    if (p->text)
        return s->text(s, p->text, p->text_size, e);
    for (int i = 0; i < p->clip_count; i++)
        if (!write_clip(s, &p->clips[i], ++*number, e))
            return false;
    return true;
}

static bool open_turn(struct sink *s, const char *role, struct err *e)
{
    return s->special(s, IM_START, e) && put_text(s, role, e) && put_text(s, "\n", e);
}

static bool close_turn(struct sink *s, struct err *e)
{
    return s->special(s, IM_END, e) && put_text(s, "\n", e);
}

/* The role stands between tokens of the template, so it must be a word that can be nothing else. */
static bool check_role(const char *role, struct err *e)
{
    if (*role && role[strspn(role, "abcdefghijklmnopqrstuvwxyz_")] == '\0')
        return true;
    return err_set(e, ERR_USAGE, "role \"%.40s\", expected a word of the letters a-z and _", role);
}

static bool write_message(struct sink *s, const struct chat_message *m, int *number, struct err *e)
{
    if (!check_role(m->role, e) || !open_turn(s, m->role, e))
        return false;
    for (int i = 0; i < m->part_count; i++)
        if (!write_part(s, &m->parts[i], number, e))
            return false;
    return close_turn(s, e);
}

static bool write_default_system(struct sink *s, const char *words, struct err *e)
{
    return open_turn(s, "system", e) && put_text(s, words ? words : template_system, e) && close_turn(s, e);
}

static bool write_chat(struct sink *s, const struct chat_message *messages, int count,
                       const char *default_system, struct err *e)
{
    int number = 0;
    if (count < 1)
        return err_set(e, ERR_USAGE, "no messages, expected at least one");
    if (strcmp(messages[0].role, "system") != 0 && !write_default_system(s, default_system, e))
        return false;
    for (int i = 0; i < count; i++)
        if (!write_message(s, &messages[i], &number, e))
            return err_wrap(e, "message %d", i + 1);
    return open_turn(s, "assistant", e);
}

/* A growing text. */

struct text {
    char *data;
    size_t size, room;
};

static bool text_put(struct text *t, const char *data, size_t size, struct err *e)
{
    if (size > t->room - t->size) {
        size_t room = t->room * 2 + size;
        char *more = realloc(t->data, room);
        if (!more)
            return err_set(e, ERR_MEMORY, "no memory for a prompt of %zu bytes", room);
        t->data = more;
        t->room = room;
    }
    if (size)
        memcpy(t->data + t->size, data, size);
    t->size += size;
    return true;
}

/* To ids. The tokenizer sees all text between two special tokens at once, as in the reference, where a role
 * and the first word behind it may share a pretoken. */

struct id_sink {
    struct sink sink;
    const struct tokenizer *tokenizer;
    const struct model_config *config;
    struct text text; /* not encoded yet */
    struct ids *ids;
    int audio_tokens;
};

static bool ids_text(struct sink *sink, const char *text, size_t size, struct err *e)
{
    struct id_sink *s = (struct id_sink *)sink;
    return text_put(&s->text, text, size, e);
}

static bool ids_flush(struct id_sink *s, struct err *e)
{
    size_t size = s->text.size;
    s->text.size = 0;
    return size == 0 || tokenizer_encode(s->tokenizer, s->text.data, size, SPECIALS_AS_TEXT, s->ids, e);
}

static bool ids_special(struct sink *sink, enum special which, struct err *e)
{
    struct id_sink *s = (struct id_sink *)sink;
    int id = tokenizer_added(s->tokenizer, special_names[which]);
    if (id < 0)
        return err_set(e, ERR_UNSUPPORTED, "the tokenizer has no %s, which the chat template needs",
                       special_names[which]);
    return ids_flush(s, e) && ids_push(s->ids, id, e);
}

static bool ids_clip(struct sink *sink, const struct mel *clip, struct err *e)
{
    struct id_sink *s = (struct id_sink *)sink;
    int tokens = mel_tokens(clip->frames);
    for (int i = 0; i < tokens; i++)
        if (!ids_push(s->ids, s->config->audio_token_id, e))
            return false;
    s->audio_tokens += tokens;
    return true;
}

/* Clips of all parts in order; refused where the model cannot hear them. */
static bool gather_clips(struct chat *out, const struct model_config *c, const struct chat_message *messages,
                         int count, struct err *e)
{
    int total = 0;
    for (int i = 0; i < count; i++)
        for (int k = 0; k < messages[i].part_count; k++)
            total += messages[i].parts[k].text ? 0 : messages[i].parts[k].clip_count;
    if (total == 0)
        return true;
    if (c->family != MODEL_QWEN2_AUDIO)
        return err_set(e, ERR_UNSUPPORTED, "the messages hold audio, but this model takes text only");
    out->clips = calloc((size_t)total, sizeof *out->clips);
    if (!out->clips)
        return err_set(e, ERR_MEMORY, "no memory for %d audio clips", total);
    for (int i = 0; i < count; i++)
        for (int k = 0; k < messages[i].part_count; k++) {
            const struct chat_part *p = &messages[i].parts[k];
            for (int n = 0; !p->text && n < p->clip_count; n++)
                out->clips[out->prompt.clip_count++] = p->clips[n];
        }
    return true;
}

/* The engine puts audio where the config's id stands; the template writes the tokenizer's token. */
static bool check_placeholder(const struct tokenizer *t, const struct model_config *c, struct err *e)
{
    int id = tokenizer_added(t, special_names[AUDIO]);
    if (c->family != MODEL_QWEN2_AUDIO || id == c->audio_token_id)
        return true;
    return err_set(e, ERR_CORRUPT, "%s is %d in the tokenizer and %d in config.json, expected the same",
                   special_names[AUDIO], id, c->audio_token_id);
}

bool chat_render(struct chat *out, const struct tokenizer *t, const struct model_config *c,
                 const struct chat_message *messages, int count, const char *default_system, struct err *e)
{
    *out = (struct chat){0};
    struct id_sink s = {{ids_text, ids_special, ids_clip}, t, c, {0}, &out->ids, 0};
    bool ok = check_placeholder(t, c, e) && gather_clips(out, c, messages, count, e) &&
              write_chat(&s.sink, messages, count, default_system, e) && ids_flush(&s, e);
    if (ok && out->ids.count > INT_MAX)
        ok = err_set(e, ERR_LIMIT, "a prompt of %zu tokens", out->ids.count);
    free(s.text.data);
    if (!ok) {
        chat_clear(out);
        return false;
    }
    out->audio_tokens = s.audio_tokens;
    out->prompt.ids = out->ids.data;
    out->prompt.count = (int)out->ids.count;
    out->prompt.clips = out->clips;
    return true;
}

void chat_clear(struct chat *c)
{
    ids_clear(&c->ids);
    free(c->clips);
    *c = (struct chat){0};
}

/* To text. */

struct text_sink {
    struct sink sink;
    struct text text;
};

static bool text_text(struct sink *sink, const char *text, size_t size, struct err *e)
{
    struct text_sink *s = (struct text_sink *)sink;
    return text_put(&s->text, text, size, e);
}

static bool text_special(struct sink *s, enum special which, struct err *e)
{
    return put_text(s, special_names[which], e);
}

static bool text_clip(struct sink *s, const struct mel *clip, struct err *e)
{
    (void)clip; /* one placeholder, however long it is */
    return put_text(s, special_names[AUDIO], e);
}

char *chat_text(struct arena *a, const struct chat_message *messages, int count, const char *default_system,
                struct err *e)
{
    struct text_sink s = {{text_text, text_special, text_clip}, {0}};
    char *text = NULL;
    if (write_chat(&s.sink, messages, count, default_system, e)) {
        text = arena_strndup(a, s.text.data, s.text.size);
        if (!text)
            err_set(e, ERR_MEMORY, "no memory for a prompt of %zu bytes", s.text.size);
    }
    free(s.text.data);
    return text;
}
