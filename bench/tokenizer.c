/* Tokenizer and sampler: loading the files, encoding each kind of text on one thread, picking a token.
 *
 *   bench_tokenizer FOLDER [ROWS]     a folder with tokenizer files; rows of the embedding (default 156032)
 */
#include "rows.h"

#include "base/clock.h"
#include "engine/sampler.h"
#include "engine/text/random.h"
#include "engine/tokenizer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES = 4 << 20, ROUNDS = 5, DEFAULT_ROWS = 156032, PICKS = 200, MAX_PIECES = 64 };

/* A text is made of these pieces in random order, so that no cache sees the same run twice. */
struct kind {
    const char *name;
    const char *pieces[MAX_PIECES];
};

static const struct kind kinds[] = {
    {"encode English",
     {"The",
      " quick",
      " brown",
      " fox",
      " jumps",
      " over",
      " the",
      " lazy",
      " dog",
      ".",
      "\n\n",
      ",",
      " measurements",
      " of",
      " bandwidth",
      " were",
      " taken",
      " twice",
      " because",
      " nobody",
      "'s",
      " machine",
      " is",
      " unreasonably",
      " quiet",
      " at",
      " night",
      " (",
      "see",
      " below",
      ")",
      " 1",
      "997",
      " and",
      " Thornbury",
      " don",
      "'t",
      " agree",
      " about",
      " it",
      " antidisestablishmentarianism",
      ";",
      " however",
      " we",
      " listened",
      " to",
      " recordings",
      " from",
      " Ljubljana",
      " and",
      " found",
      " them",
      " clear"}},
    {"encode Japanese",
     {"音声",
      "を",
      "聞いて",
      "、",
      "質問に",
      "答えて",
      "ください",
      "。",
      "東京",
      "の",
      "天気は",
      "晴れ",
      "です",
      "が",
      "明日は",
      "雨",
      "でしょう",
      "ウェブ",
      "サービス",
      "を",
      "起動する",
      "と",
      "モデル",
      "の",
      "重みが",
      "読み込まれます",
      "\n",
      "「",
      "こんにちは",
      "」",
      "と",
      "言いました",
      "2024年",
      "10月",
      "に",
      "発表された",
      "論文",
      "では",
      "精度が",
      "向上した",
      "ありがとうございました",
      "！",
      "しかし",
      "難しい",
      "漢字も",
      "ある"}},
    {"encode code",
     {"static ",
      "int ",
      "main(",
      "void)\n{\n",
      "    ",
      "return ",
      "x",
      " = ",
      "0x1f",
      ";\n",
      "}\n",
      "for (",
      "size_t i",
      " = 0; ",
      "i < n; ",
      "i++)\n",
      "        ",
      "if (!",
      "tokenizer_encode(",
      "t, ",
      "&ids, ",
      "e))\n",
      "/* comment */\n",
      "#include <",
      "stdio.h",
      ">\n",
      "struct ",
      "session *",
      "s->",
      "kv_cache[",
      "layer]",
      " += ",
      "1.0f",
      " * ",
      "sqrtf(",
      "head_dim",
      ")",
      "\"%s\\n\"",
      ", ",
      "NULL",
      "\t",
      "else "}},
    {"encode long words", {"a", "b", "ab", "antidis", "establish", "ment", "z", "qx"}},
    {NULL, {NULL}}, /* random characters of every kind */
};

static size_t random_character(struct random *r, char *out)
{
    unsigned code = (unsigned)(random_next(r) % (random_next(r) % 2 ? 0x80 : 0xd800));
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    out[0] = (char)(0xe0 | code >> 12);
    out[1] = (char)(0x80 | (code >> 6 & 0x3f));
    out[2] = (char)(0x80 | (code & 0x3f));
    return 3;
}

static size_t write_text(const struct kind *k, char *text)
{
    struct random r;
    size_t size = 0, pieces = 0;
    random_seed(&r, 1);
    while (k->name && k->pieces[pieces])
        pieces++;
    while (size < TEXT_BYTES - 64) {
        if (!k->name) {
            size += random_character(&r, text + size);
            continue;
        }
        const char *piece = k->pieces[random_next(&r) % pieces];
        memcpy(text + size, piece, strlen(piece));
        size += strlen(piece);
    }
    return size;
}

/* Best of some rounds, in MB/s. */
static bool show_encode(const struct rows *rows, const struct tokenizer *t, const struct kind *k, char *text,
                        struct err *e)
{
    size_t size = write_text(k, text);
    double best = INFINITY, per_token = 0;
    for (int i = 0; i < ROUNDS; i++) {
        struct ids ids = {0};
        double begin = clock_ms();
        if (!tokenizer_encode(t, text, size, SPECIALS_AS_TEXT, &ids, e))
            return false;
        double took = clock_ms() - begin;
        best = took < best ? took : best;
        per_token = (double)size / (double)ids.count;
        ids_clear(&ids);
    }
    rows_ratio(rows, k->name ? k->name : "encode random characters", (double)size / 1e3 / best, "MB/s",
               per_token, "bytes per token");
    return true;
}

static bool show_load(const struct rows *rows, const char *folder, int vocab, struct tokenizer **out,
                      struct err *e)
{
    const struct file_source files = file_source_folder(folder);
    double best = INFINITY;
    for (int i = 0; i < ROUNDS; i++) {
        tokenizer_free(*out);
        double begin = clock_ms();
        *out = tokenizer_new(&files, vocab, e);
        if (!*out)
            return false;
        double took = clock_ms() - begin;
        best = took < best ? took : best;
    }
    rows_value(rows, "load", best, "ms");
    return true;
}

struct setting {
    const char *name;
    struct sampling o;
};

static const struct setting settings[] = {
    {"pick greedy", {.top_p = 1, .repetition_penalty = 1}},
    {"pick top_k 20 top_p 0.5",
     {.temperature = 0.7f, .top_p = 0.5f, .top_k = 20, .repetition_penalty = 1.1f}},
    {"pick top_p 0.9", {.temperature = 1, .top_p = 0.9f, .repetition_penalty = 1}},
    {"pick from all", {.temperature = 1, .top_p = 1, .repetition_penalty = 1}},
};

static void fill_logits(float *logits, int vocab)
{
    struct random r;
    random_seed(&r, 2);
    for (int i = 0; i < vocab; i++) {
        double sum = 0;
        for (int k = 0; k < 12; k++) /* about normal */
            sum += random_unit(&r) - 0.5;
        logits[i] = (float)(sum * 2.5);
    }
}

static bool show_pick(const struct rows *rows, const struct setting *s, const float *logits, int vocab,
                      struct err *e)
{
    int prompt[1000];
    for (int i = 0; i < 1000; i++)
        prompt[i] = (i * 7919) % vocab;
    struct sampler *sampler = sampler_new(&s->o, vocab, prompt, 1000, e);
    if (!sampler)
        return false;
    sampler_pick(sampler, logits); /* touches its memory */
    double begin = clock_ms();
    for (int i = 0; i < PICKS; i++)
        sampler_pick(sampler, logits);
    rows_value(rows, s->name, (clock_ms() - begin) / PICKS, "ms");
    sampler_free(sampler);
    return true;
}

static void show_logprobs(const struct rows *rows, const float *logits, int vocab)
{
    struct token_logprob chosen, top[20];
    double begin = clock_ms();
    for (int i = 0; i < PICKS; i++)
        logprobs_top(logits, vocab, i % vocab, &chosen, top, 20);
    rows_value(rows, "logprobs of 20", (clock_ms() - begin) / PICKS, "ms");
}

static bool show_all(const char *folder, int vocab, char *text, float *logits, struct err *e)
{
    struct rows rows;
    struct tokenizer *t = NULL;
    rows_begin(&rows, "tokenizer");
    bool ok = show_load(&rows, folder, vocab, &t, e);
    for (size_t i = 0; ok && i < sizeof kinds / sizeof *kinds; i++)
        ok = show_encode(&rows, t, &kinds[i], text, e);
    fill_logits(logits, vocab);
    for (size_t i = 0; ok && i < sizeof settings / sizeof *settings; i++)
        ok = show_pick(&rows, &settings[i], logits, vocab, e);
    if (ok)
        show_logprobs(&rows, logits, vocab);
    tokenizer_free(t);
    return ok;
}

int main(int argc, char **argv)
{
    struct err e = {0};
    int vocab = argc > 2 ? atoi(argv[2]) : DEFAULT_ROWS;
    if (argc < 2 || vocab < 1) {
        fprintf(stderr, "usage: bench_tokenizer FOLDER [ROWS]\n");
        return 2;
    }
    char *text = malloc(TEXT_BYTES);
    float *logits = calloc((size_t)vocab, sizeof *logits);
    bool ok = text && logits && show_all(argv[1], vocab, text, logits, &e);
    if (!ok)
        fprintf(stderr, "bench_tokenizer: %s\n", e.kind ? e.text : "no memory");
    free(text);
    free(logits);
    return ok ? 0 : 1;
}
