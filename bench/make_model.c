/* Makes a model folder of random weights with the real layer sizes of Qwen2-Audio-7B and any depth. */
#include "gguf_out.h"
#include "model_texts.h"
#include "rows.h"
#include "shards_out.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static const char usage[] = //
    "usage: bench_make_model [options] FOLDER\n"
    "  --layers N          layers of the decoder (32, as the real model)\n"
    "  --encoder-layers N  layers of the audio encoder (32)\n"
    "  --text-only         Qwen2ForCausalLM, without ears\n"
    "  --gguf FILE         write the language model's same weights for llama.cpp too\n"
    "  --tokenizer DIR     where the tokenizer files are (tests/data/models/qwen2-tokenizer)\n"
    "  --threads N         (all CPUs)\n";

struct options {
    struct model_shape shape;
    const char *folder, *gguf, *tokenizer;
    int threads;
};

static bool parse(int argc, char **argv, struct options *o)
{
    static const struct option longs[] = {
        {"layers", required_argument, NULL, 'l'},
        {"encoder-layers", required_argument, NULL, 'e'},
        {"text-only", no_argument, NULL, 'x'},
        {"gguf", required_argument, NULL, 'g'},
        {"tokenizer", required_argument, NULL, 't'},
        {"threads", required_argument, NULL, 'n'},
        {NULL, 0, NULL, 0},
    };
    *o = (struct options){.shape = {.layers = 32, .encoder_layers = 32},
                          .tokenizer = "tests/data/models/qwen2-tokenizer",
                          .threads = rows_cpus()};
    for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;)
        switch (c) {
        case 'l':
            o->shape.layers = atoi(optarg);
            break;
        case 'e':
            o->shape.encoder_layers = atoi(optarg);
            break;
        case 'x':
            o->shape.text_only = true;
            break;
        case 'g':
            o->gguf = optarg;
            break;
        case 't':
            o->tokenizer = optarg;
            break;
        case 'n':
            o->threads = atoi(optarg);
            break;
        default:
            return false;
        }
    o->folder = optind + 1 == argc ? argv[optind] : NULL;
    return o->folder && o->threads > 0;
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
    if (ok && o->gguf)
        ok = gguf_out_write(o->gguf, o->tokenizer, &c, w, pool, e);
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
