/* cat.c: `ferry cat`: bytes of files to stdout. */
#include "cmd/byte_range.h"
#include "cmd/commands.h"
#include "cmd/interrupt.h"
#include "cmd/sources.h"
#include "transfer/transfer.h"

#include <stdio.h>

enum { ARENA_BYTES = 1 << 30 };

struct cat_settings {
    const char *range;
};

static const struct option cat_options[] = {
    {.name = "range",
     .letter = 'r',
     .type = OPTION_TEXT,
     .argument = "A-B",
     .offset = offsetof(struct cat_settings, range),
     .help =
         "only these bytes of each file, counted from 0, both inclusive: 0-99, 100- or -100 for the last"},
};

static bool write_out(void *arg, const void *bytes, size_t size, struct err *e)
{
    (void)arg;
    return fwrite(bytes, 1, size, stdout) == size || err_errno(e, "cannot write to stdout");
}

static bool cat_one(const struct source *s, const struct byte_range *r, const volatile sig_atomic_t *stop,
                    struct err *e)
{
    uint64_t offset, length;
    byte_range_of(r, s->entry.size, &offset, &length);
    return length == 0 ||
           transfer_stream_out(s->place->store, &s->entry, offset, length, write_out, NULL, stop, e) ||
           err_wrap(e, "%s", s->entry.name);
}

static bool cat(struct sources *s, char **texts, int count, const struct byte_range *r, struct err *e)
{
    const volatile sig_atomic_t *stop = interrupt_watch();
    for (int i = 0; i < count; i++)
        if (!sources_find(s, texts[i], e))
            return false;
    for (size_t i = 0; i < s->count; i++)
        if (!cat_one(&s->items[i], r, stop, e))
            return false;
    return true;
}

static bool run_cat(const struct command *c, char **args, int count, struct err *e)
{
    struct cat_settings settings = {0};
    struct sources s = {0};
    struct byte_range range = {.last = UINT64_MAX};
    struct operands o;

    if (!options_read(c, args, count, &settings, &o, e))
        return false;
    if (o.help) {
        help_command(stdout, c);
        return true;
    }
    if (o.count == 0)
        return err_set(e, ERR_USAGE, "which file? usage: ferry cat %s", c->synopsis);
    if (settings.range && !byte_range_parse(&range, settings.range, e))
        return false;
    s.stores = stores_new(0, e);
    s.arena = s.stores ? arena_new(ARENA_BYTES) : NULL;
    bool ok =
        s.arena ? cat(&s, o.items, o.count, &range, e) : s.stores && err_set(e, ERR_MEMORY, "no memory");
    sources_clear(&s);
    arena_free(s.arena);
    stores_free(s.stores);
    return ok;
}

static const struct option_group cat_group = {"Options", cat_options,
                                              sizeof cat_options / sizeof *cat_options};
static const struct option_group *const cat_groups[] = {&cat_group, NULL};

static const char *const cat_examples[] = {
    "ferry cat gs://bucket/models/qwen/config.json",
    "a file",
    "ferry cat --range 0-7 hf://Qwen/Qwen2-Audio-7B-Instruct/model-00001-of-00005.safetensors | od -t u8",
    "how long the header of a safetensors file is",
    NULL,
};

const struct command command_cat = {
    .name = "cat",
    .synopsis = "URI… [--range A-B]",
    .summary = "print files, or bytes of them",
    .about = "Writes the bytes of files to stdout, one file behind the other: gs://BUCKET/NAME, "
             "hf://OWNER/NAME[@REVISION]/PATH, paths, and what wildcards match. Large files come in several "
             "parts at a time.",
    .examples = cat_examples,
    .groups = cat_groups,
    .max_operands = OPERANDS_ANY,
    .run = run_cat,
};
