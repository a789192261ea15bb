/* Makes a model folder of random weights with the real layer sizes of Qwen2-Audio-7B and any depth. */
#include "model_texts.h"
#include "options.h"
#include "rows.h"
#include "shards_out.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

static const char usage[] = //
    "usage: bench_make_model [options] FOLDER\n"
    "  --layers N          layers of the decoder (32, as the real model)\n"
    "  --encoder-layers N  layers of the audio encoder (32)\n"
    "  --text-only         Qwen2ForCausalLM, without ears\n"
    "  --tokenizer DIR     where the tokenizer files are (tests/data/models/qwen2-tokenizer)\n"
    "  --threads N         (all CPUs)\n";

struct options {
    struct model_shape shape;
    const char *folder, *tokenizer;
    int threads;
};

static bool parse(int argc, char **argv, struct options *o)
{
    *o = (struct options){.shape = {.layers = 32, .encoder_layers = 32},
                          .tokenizer = "tests/data/models/qwen2-tokenizer",
                          .threads = rows_cpus()};
    const struct option_row rows[] = {
        {"layers", OPTION_NUMBER, &o->shape.layers},
        {"encoder-layers", OPTION_NUMBER, &o->shape.encoder_layers},
        {"text-only", OPTION_FLAG, &o->shape.text_only},
        {"tokenizer", OPTION_TEXT, &o->tokenizer},
        {"threads", OPTION_NUMBER, &o->threads},
    };
    return options_parse(argc, argv, rows, sizeof rows / sizeof *rows, &o->folder);
}

static bool make(const struct options *o, struct err *e)
{
    struct model_config c;
    struct pool *pool = pool_new(o->threads, e);
    struct weights *w = NULL;
    bool ok = pool != NULL;
    if (ok && mkdir(o->folder, 0777) != 0 && errno != EEXIST)
        ok = err_errno(e, "%s", o->folder);
    ok = ok && model_texts_write(o->folder, o->tokenizer, &o->shape, &c, e);
    ok = ok && (w = weights_new(&c, e)) != NULL;
    ok = ok && shards_out_write(o->folder, w, pool, e);
    weights_free(w);
    pool_free(pool);
    return ok;
}

int main(int argc, char **argv)
{
    struct options o;
    struct err e = {0};
    if (!parse(argc, argv, &o)) {
        fputs(usage, stderr);
        return 2;
    }
    if (!make(&o, &e)) {
        fprintf(stderr, "bench_make_model: %s\n", e.text);
        return 1;
    }
    return 0;
}
