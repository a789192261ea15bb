/* pack.c: `ferry pack`: a model folder, wherever it lies, encoded into another. */
#include "cmd/again.h"
#include "cmd/commands.h"
#include "cmd/stage.h"

#include <stdlib.h>
#include <string.h>

enum { ARENA_BYTES = INT32_MAX };

/* The same folder, however it is spelled. */
static bool same_folder(const struct stage *s)
{
    if (s->model.store != s->target.store)
        return false;
    if (s->model.uri.scheme != URI_LOCAL)
        return strcmp(s->model.path, s->target.path) == 0;
    char *from = realpath(*s->model.path ? s->model.path : ".", NULL);
    char *to = realpath(*s->target.path ? s->target.path : ".", NULL);
    bool same = from && to && strcmp(from, to) == 0;
    free(from);
    free(to);
    return same;
}

static bool run_with(struct stage *s, const struct command *c, const struct operands *o, struct err *e)
{
    bool is_folder = false;
    if (o->count < 2)
        return err_set(e, ERR_USAGE, "which model, to where? usage: ferry pack %s", c->synopsis);
    if (s->settings.to == PACK_TO_GGUF)
        return pack_to_gguf(s, o->items[0], o->items[1], e);
    if (s->settings.encode == ENCODE_NONE)
        return err_set(e, ERR_USAGE, "encoded how? --encode bf16, q8_0 or q4_0");
    s->stores = stores_new(0, e);
    if (!s->stores || !stage_open_source(s, o->items[0], e) || !stage_open_target(s, o->items[1], e))
        return false;
    if (same_folder(s))
        return err_set(e, ERR_USAGE, "%s: would be packed onto itself; give another folder", o->items[1]);
    if (!place_is_folder(&s->model, s->arena, &is_folder, e))
        return false;
    if (!is_folder)
        return err_set(e, ERR_NOT_FOUND, "%s: no such folder", o->items[0]);
    return stage_read_origin(s, e) && stage_run(s, e);
}

static bool run_pack(const struct command *c, char **args, int count, struct err *e)
{
    struct stage s = {.arena = arena_new(ARENA_BYTES), .what = "staging"};
    struct operands o = {0};
    bool ok = false;

    if (!s.arena || !(s.again = command_again(s.arena, c->name, args, count)))
        err_set(e, ERR_MEMORY, "no memory");
    else if (options_read(c, args, count, &s.settings, &o, e))
        ok = o.help ? (help_command(stdout, c), true) : run_with(&s, c, &o, e);
    stage_clear(&s);
    stores_free(s.stores);
    arena_free(s.arena);
    return ok;
}

static const struct option pack_options[] = {
    {.name = "to",
     .type = OPTION_CHOICE,
     .argument = "FORMAT",
     .preset = "folder",
     .choices = "folder|gguf",
     .offset = offsetof(struct stage_settings, to),
     .help = "folder, which `ferry serve` takes; or gguf, files for llama.cpp and its relatives, in the "
             "encoding that the folder has unless --encode says another"},
};

static const struct option_group to_group = {"Target", pack_options,
                                             sizeof pack_options / sizeof *pack_options};
static const struct option_group *const pack_groups[] = {&to_group, &stage_pack_group, &copy_group, NULL};

static const char *const pack_examples[] = {
    "ferry pack ~/models/Qwen2-Audio-7B-Instruct ~/models/qwen2-audio-q8 --encode q8_0",
    "half the size, served by `ferry serve` like any model folder",
    "ferry pack gs://my-models/qwen2-audio gs://my-models/qwen2-audio-q4 --encode q4_0",
    "what is staged already, encoded anew",
    "ferry pack ~/models/qwen2-audio-q8 qwen2-audio-q8.gguf --to gguf",
    "the same weights for llama.cpp; the audio tower goes to qwen2-audio-q8-mmproj.gguf",
    NULL,
};

const struct command command_pack = {
    .name = "pack",
    .synopsis = "MODEL FOLDER|gs://BUCKET/PREFIX|FILE.gguf --encode ENCODING [options]",
    .summary = "encode a model's weights into one file, in the order they are needed",
    .about =
        "Makes a folder of the same model whose weights are one safetensors file, in the order in which "
        "a forward "
        "pass needs them, so that `ferry serve` computes while they arrive; encoded as bf16, or in the "
        "blocks of "
        "ggml's q8_0 (8.5 bits a weight) and q4_0 (4.5 bits). With q4_0 the audio tower, the embedding "
        "and the head "
        "are q8_0, which cost little and matter much. MODEL is a folder here, in a bucket or on the "
        "hub; memory stays "
        "within a few hundred megabytes whatever its size. What was interrupted goes on when the same "
        "command is "
        "given again. `ferry stage --encode` does the same on the way from the hub.\n\n"
        "With --to gguf, MODEL is a folder here (a pack too) and two files come of it: FILE.gguf with the "
        "language model and its tokenizer, FILE-mmproj.gguf with the audio tower and the projector. They "
        "hold the same numbers as the folder or its pack, for other tools to check; --workers does not "
        "matter then.",
    .examples = pack_examples,
    .groups = pack_groups,
    .max_operands = 2,
    .run = run_pack,
};
