/* Encoding and decoding against the reference, the files a tokenizer is read from, and hostile text. */
#include "engine/text/nfc.h"
#include "engine/text/parts.h"
#include "text_data.h"

#include "base/clock.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include <cmocka.h>

static struct ids encode(const struct tokenizer *t, const char *text, size_t size, enum token_specials how)
{
    struct ids ids = {0};
    struct err e = {0};
    if (!tokenizer_encode(t, text, size, how, &ids, &e))
        fail_msg("%s", e.text);
    return ids;
}

typedef const char *bytes_fn(const struct tokenizer *t, int id, size_t *size);

/* Streams ids through the detokenizer; malloc'ed. */
static char *decode(const struct tokenizer *t, const int *ids, size_t count, bytes_fn *bytes_of, size_t *size)
{
    struct detokenizer d = {0};
    char *out = malloc(16);
    *size = 0;
    for (size_t i = 0; i < count; i++) {
        size_t n;
        const char *bytes = bytes_of(t, ids[i], &n);
        out = realloc(out, *size + detokenizer_room(n) + 16);
        assert_non_null(out);
        *size += detokenizer_push(&d, bytes, n, out + *size);
    }
    *size += detokenizer_finish(&d, out + *size);
    return out;
}

static size_t read_ids(const json_t *array, int *ids, size_t room)
{
    size_t n = json_array_size(array);
    assert_true(n <= room);
    for (size_t i = 0; i < n; i++)
        ids[i] = (int)json_integer_value(json_array_get(array, i));
    return n;
}

static void check_decoded(const struct tokenizer *t, const json_t *golden, const char *key,
                          bytes_fn *bytes_of)
{
    int ids[4096];
    size_t count = read_ids(json_object_get(golden, "ids"), ids, 4096), size;
    char *text = decode(t, ids, count, bytes_of, &size);
    const json_t *want = json_object_get(golden, key);
    assert_int_equal(size, json_string_length(want));
    assert_memory_equal(text, json_string_value(want), size);
    free(text);
}

static void check_encoded(const struct tokenizer *t, const json_t *golden)
{
    const json_t *text = json_object_get(golden, "text"), *want = json_object_get(golden, "ids");
    struct ids ids = encode(t, json_string_value(text), json_string_length(text), SPECIALS_AS_TOKENS);
    if (ids.count != json_array_size(want))
        fail_msg("\"%s\": %zu ids, expected %zu", json_string_value(text), ids.count, json_array_size(want));
    for (size_t i = 0; i < ids.count; i++)
        if (ids.data[i] != json_integer_value(json_array_get(want, i)))
            fail_msg("\"%s\": id %zu is %d", json_string_value(text), i, ids.data[i]);
    ids_clear(&ids);
}

static void every_golden_is_met(const struct tokenizer *t)
{
    json_t *root = text_data_json("data/goldens/tokenizer.json"), *golden;
    size_t i;
    json_array_foreach(json_object_get(root, "encode"), i, golden)
    {
        check_encoded(t, golden);
        check_decoded(t, golden, "decoded", tokenizer_name);
        check_decoded(t, golden, "decoded_skip_special", tokenizer_bytes);
    }
    assert_int_equal(i, 150);
    json_array_foreach(json_object_get(root, "decode"), i, golden)
    {
        check_decoded(t, golden, "decoded", tokenizer_name);
        check_decoded(t, golden, "decoded_skip_special", tokenizer_bytes);
    }
    assert_int_equal(i, 40);
    json_decref(root);
}

static void ids_and_texts_are_those_of_the_reference(void **state)
{
    struct tokenizer *t = text_data_tokenizer(QWEN2_TOKENIZER, QWEN2_ROWS);
    (void)state;
    every_golden_is_met(t);
    tokenizer_free(t);
}

/* The files of a folder in memory. */
struct folder_files {
    char *vocab, *merges, *config, *json;
    struct token_files f;
};

static void load_files(struct folder_files *d, const char *folder)
{
    char path[256];
    *d = (struct folder_files){0};
    snprintf(path, sizeof path, "%s/vocab.json", folder);
    d->f.vocab.data = d->vocab = text_data_file(path, &d->f.vocab.size);
    snprintf(path, sizeof path, "%s/merges.txt", folder);
    d->f.merges.data = d->merges = text_data_file(path, &d->f.merges.size);
    snprintf(path, sizeof path, "%s/tokenizer_config.json", folder);
    d->f.config.data = d->config = text_data_file(path, &d->f.config.size);
}

static void free_files(struct folder_files *d)
{
    free(d->vocab);
    free(d->merges);
    free(d->config);
    free(d->json);
}

static struct token_file file_of(const char *text)
{
    return (struct token_file){text, strlen(text)};
}

static json_t *parse(const char *text)
{
    json_error_t je;
    json_t *v = json_loads(text, 0, &je);
    if (!v)
        fail_msg("%s: %s", text, je.text);
    return v;
}

static json_t *merges_as_json(const char *merges, bool pairs)
{
    json_t *array = json_array();
    for (const char *line = merges, *end; (end = strchr(line, '\n')); line = end + 1) {
        const char *space = memchr(line, ' ', (size_t)(end - line));
        if (!space)
            continue;
        if (pairs)
            json_array_append_new(
                array, json_pack("[s#,s#]", line, (int)(space - line), space + 1, (int)(end - space - 1)));
        else
            json_array_append_new(array, json_stringn(line, (size_t)(end - line)));
    }
    return array;
}

static json_t *added_as_json(const char *config)
{
    json_t *root = parse(config), *array = json_array(), *entry;
    const char *id;
    json_object_foreach(json_object_get(root, "added_tokens_decoder"), id, entry)
    {
        json_t *token = json_deep_copy(entry);
        json_object_set_new(token, "id", json_integer(atoi(id)));
        json_array_append_new(array, token);
    }
    json_decref(root);
    return array;
}

/* The tokenizer.json that says the same as the three files. */
static json_t *as_tokenizer_json(const struct folder_files *d, bool pairs)
{
    json_t *root = parse(
        "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"normalizer\":{\"type\":\"NFC\"},"
        "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{},"
        "\"behavior\":\"Isolated\",\"invert\":false},{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"
        "\"trim_offsets\":false,\"use_regex\":false}]},\"post_processor\":{\"type\":\"ByteLevel\"},"
        "\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"dropout\":null,"
        "\"unk_token\":null,\"continuing_subword_prefix\":\"\",\"end_of_word_suffix\":\"\","
        "\"fuse_unk\":false,\"byte_fallback\":false}}");
    json_t *steps = json_object_get(json_object_get(root, "pre_tokenizer"), "pretokenizers");
    json_object_set_new(json_object_get(json_array_get(steps, 0), "pattern"), "Regex",
                        json_string(split_pattern));
    json_object_set_new(json_object_get(root, "model"), "vocab", parse(d->vocab));
    json_object_set_new(json_object_get(root, "model"), "merges", merges_as_json(d->merges, pairs));
    json_object_set_new(root, "added_tokens", added_as_json(d->config));
    return root;
}

static struct tokenizer *parse_files(const struct token_files *f, int vocab)
{
    struct err e = {0};
    struct tokenizer *t = tokenizer_parse(f, vocab, &e);
    if (!t)
        fail_msg("%s", e.text);
    return t;
}

static void tokenizer_json_gives_the_same(void **state)
{
    (void)state;
    for (int pairs = 0; pairs < 2; pairs++) {
        struct folder_files d;
        load_files(&d, QWEN2_TOKENIZER);
        json_t *root = as_tokenizer_json(&d, pairs);
        d.json = json_dumps(root, 0);
        const struct token_files only = {.json = file_of(d.json)};
        struct tokenizer *t = parse_files(&only, QWEN2_ROWS);
        every_golden_is_met(t);
        tokenizer_free(t);
        json_decref(root);
        free_files(&d);
    }
}

static void a_version_line_windows_ends_and_escapes_change_nothing(void **state)
{
    struct folder_files d;
    (void)state;
    load_files(&d, TINY_AUDIO);
    struct tokenizer *plain = parse_files(&d.f, TINY_ROWS);
    json_t *vocab = parse(d.vocab);
    char *escaped = json_dumps(vocab, JSON_ENSURE_ASCII | JSON_INDENT(2)),
         *crlf = malloc(d.f.merges.size * 2 + 64);
    size_t n = (size_t)sprintf(crlf, "#version: 0.2\r\n");
    for (const char *p = d.merges; *p; p++) {
        if (*p == '\n')
            crlf[n++] = '\r';
        crlf[n++] = *p;
    }
    d.f.vocab = file_of(escaped);
    d.f.merges = (struct token_file){crlf, n};
    struct tokenizer *other = parse_files(&d.f, TINY_ROWS);
    static const char text[] = "The \xe6\x97\xa5\xe6\x9c\xac lock\n\n\n in 12 'll";
    struct ids a = encode(plain, text, sizeof text, SPECIALS_AS_TEXT);
    struct ids b = encode(other, text, sizeof text, SPECIALS_AS_TEXT);
    assert_int_equal(a.count, b.count);
    assert_memory_equal(a.data, b.data, a.count * sizeof *a.data);
    ids_clear(&a);
    ids_clear(&b);
    free(crlf);
    free(escaped);
    json_decref(vocab);
    tokenizer_free(plain);
    tokenizer_free(other);
    free_files(&d);
}

struct bad_file {
    struct token_file file;
    size_t member; /* offset in struct token_files of the file that is replaced */
    const char *message;
};

#define BAD(file, text, message)                                                                             \
    {                                                                                                        \
        {text, sizeof text - 1}, offsetof(struct token_files, file), message                                 \
    }
#define ADDED(entries) "{\"added_tokens_decoder\":{" entries "}}"

static const struct bad_file bad_files[] = {
    BAD(vocab, "", "vocab.json: byte 0: expected an opening brace"),
    BAD(vocab, "[]", "vocab.json: byte 0: expected an opening brace"),
    BAD(vocab, "{\"a\":1,}", "vocab.json: byte 7: expected a string in quotes"),
    BAD(vocab, "{\"a\" 1}", "vocab.json: byte 5: expected a colon"),
    BAD(vocab, "{\"a\":1", "vocab.json: byte 6: expected a comma or the closing brace"),
    BAD(vocab, "{\"a\":-1}", "vocab.json: byte 5: expected a whole number from 0 to 2147483647"),
    BAD(vocab, "{\"a\":1.5}", "vocab.json: byte 6: expected a comma or the closing brace"),
    BAD(vocab, "{\"a\":99999999999999999999}",
        "vocab.json: byte 15: expected a whole number from 0 to 2147483647"),
    BAD(vocab, "{\"a\":01}", "vocab.json: byte 7: expected a whole number from 0 to 2147483647"),
    BAD(vocab, "{\"a\":1}x", "vocab.json: byte 7: expected nothing behind the closing brace"),
    BAD(vocab, "{\"a", "vocab.json: byte 3: expected the end of the string"),
    BAD(vocab, "{\"\xff\":1}", "vocab.json: byte 3: expected valid UTF-8 before it"),
    BAD(vocab, "{\"a\n\":1}", "vocab.json: byte 3: expected no control character in a string"),
    BAD(vocab, "{\"\\x\":1}", "vocab.json: byte 3: expected an escape of JSON"),
    BAD(vocab, "{\"\\u12g4\":1}", "vocab.json: byte 6: expected four hexadecimal digits"),
    BAD(vocab, "{\"\\ud800x\":1}", "vocab.json: byte 8: expected a pair of surrogates"),
    BAD(vocab, "{\"\\ud800\\u0041\":1}", "vocab.json: byte 14: expected the second of a pair of surrogates"),
    BAD(vocab, "{\"a\":1088}",
        "vocab.json: token \"a\": id 1088, expected 0 to 1087: the model has a row for each of those only"),
    BAD(vocab, "{\"a\":1,\"b\":1}",
        "vocab.json: token \"b\": id 1 is already that of \"a\", expected one id per token"),
    BAD(vocab, "{\"a\":1,\"a\":2}",
        "vocab.json: token \"a\": ids 1 and 2 have the same token, expected it once"),
    BAD(vocab, "{\"\":1}", "vocab.json: token \"\": id 1 has an empty token, expected at least one byte"),
    BAD(vocab, "{\"a b\":1}",
        "vocab.json: token \"a b\": \"a b\" is not in the alphabet of byte-level BPE: Ferry reads Qwen2's "
        "kind of "
        "vocabulary"),
    BAD(vocab, "{\"a\":1}", "vocab.json: no token for byte 0x00, expected one for each of the 256"),
    BAD(merges, "a", "merges.txt: line 1: \"a\", expected two tokens with one space between them"),
    BAD(merges, "i n\na b c",
        "merges.txt: line 2: \"a b c\", expected two tokens with one space between them"),
    BAD(merges, "i n\n\ni n", "merges.txt: line 3: \"i n\": the pair is merge 1 already, expected it once"),
    BAD(merges, "Q X",
        "merges.txt: line 1: \"Q X\": the merged token is not in the vocabulary, expected the pair and what "
        "it "
        "becomes"),
    BAD(merges, "i\xff n", NULL),
    BAD(config, "", NULL),
    BAD(config, "[]", "tokenizer_config.json: not an object, expected the tokenizer's settings"),
    BAD(config, "{\"add_prefix_space\":true}",
        "tokenizer_config.json: add_prefix_space is not false, the only value that Ferry implements"),
    BAD(config, "{\"errors\":\"strict\"}",
        "tokenizer_config.json: errors is not replace, the only value that Ferry implements"),
    BAD(config, "{\"tokenizer_class\":\"GPT2Tokenizer\"}",
        "tokenizer_config.json: tokenizer_class is \"GPT2Tokenizer\", expected Qwen2Tokenizer"),
    BAD(config, "{\"added_tokens_decoder\":[]}",
        "tokenizer_config.json: added_tokens_decoder is not an object, expected ids and tokens"),
    BAD(config, ADDED("\"x\":{}"), "tokenizer_config.json: added_tokens_decoder: \"x\" is not an id"),
    BAD(config, ADDED("\"1030\":{\"content\":7}"),
        "tokenizer_config.json: added token 1030: content is not a string, expected the token's text"),
    BAD(config, ADDED("\"1030\":{\"content\":\"\"}"),
        "tokenizer_config.json: added token 1030: its text has 0 bytes, expected 1 to 1024"),
    BAD(config, ADDED("\"1030\":{\"content\":\"<x>\",\"single_word\":true}"),
        "tokenizer_config.json: added token 1030: single_word is true, which Ferry does not implement"),
    BAD(config, ADDED("\"1030\":{\"content\":\"<x>\",\"lstrip\":1}"),
        "tokenizer_config.json: added token 1030: lstrip is not true or false"),
    BAD(config, ADDED("\"1088\":{\"content\":\"<x>\"}"),
        "tokenizer_config.json: added token 1088: id 1088, expected 0 to 1087: the model has a row for each "
        "of those "
        "only"),
    BAD(config, ADDED("\"0\":{\"content\":\"<x>\"}"),
        "tokenizer_config.json: added token 0: id 0 is already that of \"!\", expected one id per token"),
    BAD(config, ADDED("\"1030\":{\"content\":\"<x>\"},\"1031\":{\"content\":\"<x>\"}"),
        "tokenizer_config.json: added token 1031: ids 1030 and 1031 are the same added token, expected it "
        "once"),
};

static void bad_files_are_refused_with_what_was_expected(void **state)
{
    struct folder_files d;
    (void)state;
    load_files(&d, TINY_AUDIO);
    for (size_t i = 0; i < sizeof bad_files / sizeof *bad_files; i++) {
        const struct bad_file *b = &bad_files[i];
        struct token_files f = d.f;
        struct err e = {0};
        memcpy((char *)&f + b->member, &b->file, sizeof b->file);
        assert_null(tokenizer_parse(&f, TINY_ROWS, &e));
        if (b->message)
            assert_string_equal(e.text, b->message);
    }
    free_files(&d);
}

struct bad_part {
    const char *key, *part, *message;
};

static void tokenizer_json_of_another_kind_is_refused(void **state)
{
    static const struct bad_part parts[] = {
        {"normalizer", "{\"type\":\"NFKC\"}", "normalizer.type is not what Ferry implements, expected NFC"},
        {"normalizer", "null", "normalizer.type is not what Ferry implements, expected NFC"},
        {"pre_tokenizer", "{\"type\":\"Whitespace\"}",
         "pre_tokenizer.type is not what Ferry implements, expected Sequence"},
        {"decoder", "{\"type\":\"Metaspace\"}",
         "decoder.type is not what Ferry implements, expected ByteLevel"},
        {"model", "{\"type\":\"Unigram\"}", "model.type is not what Ferry implements, expected BPE"},
        {"model", "{\"type\":\"BPE\",\"ignore_merges\":true}",
         "model.ignore_merges is not what Ferry implements, expected false"},
        {"model", "{\"type\":\"BPE\",\"unk_token\":\"<unk>\"}",
         "model.unk_token is not what Ferry implements, expected nothing"},
        {"model", "{\"type\":\"BPE\",\"vocab\":{\"a\":\"b\"}}",
         "model.vocab: \"a\" has no id, expected a whole number"},
        {"model", "{\"type\":\"BPE\"}", "model.vocab is not an object, expected tokens and ids"},
        {"post_processor", "{\"type\":\"TemplateProcessing\"}",
         "post_processor is not what Ferry implements, expected ByteLevel"},
        {"added_tokens", "[{\"content\":\"x\"}]", "added_tokens[0] has no id, expected a whole number"},
        {"added_tokens", "{}", "added_tokens is not an array"},
    };
    struct folder_files d;
    (void)state;
    load_files(&d, TINY_AUDIO);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        json_t *root = as_tokenizer_json(&d, true);
        json_error_t je;
        struct err e = {0};
        json_object_set_new(root, parts[i].key, json_loads(parts[i].part, JSON_DECODE_ANY, &je));
        char *text = json_dumps(root, 0);
        const struct token_files only = {.json = file_of(text)};
        assert_null(tokenizer_parse(&only, TINY_ROWS, &e));
        if (!strstr(e.text, parts[i].message))
            fail_msg("\"%s\", expected \"%s\"", e.text, parts[i].message);
        free(text);
        json_decref(root);
    }
    free_files(&d);
}

static void a_folder_without_a_tokenizer_is_refused(void **state)
{
    struct err e = {0};
    (void)state;
    assert_null(tokenizer_new("data/goldens/audio", 100, &e));
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_string_equal(e.text, "data/goldens/audio: no tokenizer: expected vocab.json, merges.txt and "
                                "tokenizer_config.json, or tokenizer.json");
}

static void text_that_is_not_utf8_is_refused(void **state)
{
    static const char *const bad[] = {"\xff",     "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                      "\xe3\x81", "\x80"};
    struct tokenizer *t = text_data_tokenizer(TINY_AUDIO, TINY_ROWS);
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct ids ids = {0};
        struct err e = {0};
        assert_false(tokenizer_encode(t, bad[i], strlen(bad[i]), SPECIALS_AS_TEXT, &ids, &e));
        assert_int_equal(e.kind, ERR_USAGE);
        ids_clear(&ids);
    }
    tokenizer_free(t);
}

static void check_ids(const struct tokenizer *t, const char *text, const int *want, size_t count)
{
    struct ids ids = encode(t, text, strlen(text), SPECIALS_AS_TOKENS);
    if (ids.count != count)
        fail_msg("\"%s\": %zu ids, expected %zu", text, ids.count, count);
    assert_memory_equal(ids.data, want, count * sizeof *want);
    ids_clear(&ids);
}

static void flags_of_added_tokens_are_honoured(void **state)
{
    static const char config[] =
        ADDED("\"1030\":{\"content\":\"<l>\",\"lstrip\":true},\"1031\":{\"content\":\"<r>\",\"rstrip\":true},"
              "\"1032\":{\"content\":\"<l>!\",\"special\":true},\"1033\":{\"content\":\"e\xcc\x81\","
              "\"normalized\":true},"
              "\"1034\":{\"content\":\"<p>\"}");
    struct folder_files d;
    size_t size;
    (void)state;
    load_files(&d, TINY_AUDIO);
    d.f.config = file_of(config);
    struct tokenizer *t = parse_files(&d.f, TINY_ROWS);
    check_ids(t, "a \t<l> a", (int[]){64, 1030, 264}, 3);               /* " a" is 264 */
    check_ids(t, "a <r>\xe3\x80\x80 a", (int[]){64, 220, 1031, 64}, 4); /* U+3000 is white space */
    check_ids(t, " <l>! a", (int[]){220, 1032, 264}, 3);                /* the longer one */
    check_ids(t, "<p>\xc3\xa9<p>", (int[]){1034, 1033, 1034}, 3);       /* composed in the text */
    check_ids(t, "<p>e\xcc\x81<p>", (int[]){1034, 1033, 1034}, 3);      /* decomposed in the text */
    check_ids(t, "<l", (int[]){27, 75}, 2);
    assert_int_equal(tokenizer_added(t, "<l>!"), 1032);
    assert_int_equal(tokenizer_added(t, "<l"), -1);
    assert_int_equal(tokenizer_added(t, "<q>"), -1);
    assert_null(tokenizer_bytes(t, 1032, &size));
    assert_int_equal(size, 0);
    tokenizer_bytes(t, 1034, &size);
    assert_int_equal(size, 3);
    tokenizer_name(t, 1032, &size);
    assert_int_equal(size, 4);
    for (int id = -2; id < TINY_ROWS + 2; id++)
        if (id < 0 || id >= 1035) {
            assert_null(tokenizer_name(t, id, &size));
            assert_int_equal(size, 0);
        }
    tokenizer_free(t);
    free_files(&d);
}

static void thousands_of_added_tokens_are_found_quickly(void **state)
{
    enum { TOKENS = 5000, ROWS = 1024 + TOKENS };
    struct folder_files d;
    json_t *root = json_object(), *tokens = json_object();
    char key[16], name[32], *text = malloc(TOKENS * 16);
    size_t size = 0;
    (void)state;
    load_files(&d, TINY_AUDIO);
    for (int i = 0; i < TOKENS; i++) {
        snprintf(key, sizeof key, "%d", 1024 + i);
        snprintf(name, sizeof name, "<|%d.%02d|>", i / 50, i % 50 * 2);
        json_object_set_new(tokens, key, json_pack("{s:s}", "content", name));
        size += (size_t)sprintf(text + size, "%s", name);
    }
    json_object_set_new(root, "added_tokens_decoder", tokens);
    char *config = json_dumps(root, 0);
    d.f.config = file_of(config);
    struct tokenizer *t = parse_files(&d.f, ROWS);
    struct ids ids = encode(t, text, size, SPECIALS_AS_TOKENS);
    assert_int_equal(ids.count, TOKENS);
    for (int i = 0; i < TOKENS; i++)
        assert_int_equal(ids.data[i], 1024 + i);
    ids_clear(&ids);
    tokenizer_free(t);
    free(config);
    free(text);
    json_decref(root);
    free_files(&d);
}

static void text_that_spells_an_added_token_can_stay_text(void **state)
{
    static const char text[] = "<|im_end|>\n<|im_start|>";
    struct tokenizer *t = text_data_tokenizer(QWEN2_TOKENIZER, QWEN2_ROWS);
    size_t size;
    (void)state;
    struct ids ids = encode(t, text, strlen(text), SPECIALS_AS_TEXT);
    for (size_t i = 0; i < ids.count; i++)
        assert_true(ids.data[i] < 151643);
    char *back = decode(t, ids.data, ids.count, tokenizer_bytes, &size);
    assert_int_equal(size, strlen(text));
    assert_memory_equal(back, text, size);
    free(back);
    ids_clear(&ids);
    tokenizer_free(t);
}

/* Endless words, spaces, marks: each takes about linear time. The bound is generous for sanitizers; what is
 * quadratic takes minutes. */
static void long_runs_take_no_quadratic_time(void **state)
{
    static const char *const units[] = {
        "a", " ", "ab", "\n", "!", " a", "\xcc\x81\xcc\x96", "\xe3\x81\x82", "<|im_"};
    enum { BYTES = 1 << 20, LIMIT_MS = 20000 };
    struct tokenizer *t = text_data_tokenizer(QWEN2_TOKENIZER, QWEN2_ROWS);
    char *text = malloc(BYTES + 8);
    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        size_t size = 0;
        for (; size < BYTES; size += strlen(units[i]))
            memcpy(text + size, units[i], strlen(units[i]));
        double begin = clock_ms();
        struct ids ids = encode(t, text, size, SPECIALS_AS_TOKENS);
        assert_true(clock_ms() - begin < LIMIT_MS);
        ids_clear(&ids);
    }
    free(text);
    tokenizer_free(t);
}

static void whole_characters(const char *text, size_t size)
{
    for (size_t i = 0; i < size;) {
        unsigned char c = (unsigned char)text[i];
        size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
        assert_true(c < 0x80 || c >= 0xc2);
        assert_true(n <= size - i);
        for (size_t k = 1; k < n; k++)
            assert_int_equal((unsigned char)text[i + k] & 0xc0, 0x80);
        i += n;
    }
}

static unsigned next_random(unsigned *state)
{
    *state = *state * 1664525u + 1013904223u; /* Numerical Recipes */
    return *state >> 8;
}

static void streamed_text_equals_whole_text_in_whole_characters(void **state)
{
    enum { IDS = 300 };
    struct tokenizer *t = text_data_tokenizer(QWEN2_TOKENIZER, QWEN2_ROWS);
    unsigned r = 1;
    (void)state;
    for (int round = 0; round < 200; round++) {
        char all[IDS * 260], whole[sizeof all * 3 + 16], streamed[sizeof whole];
        size_t bytes = 0, n = 0, m = 0;
        struct detokenizer d = {0}, at_once = {0};
        for (int i = 0; i < IDS; i++) {
            size_t size;
            int id = (int)(next_random(&r) % (round % 2 ? 256 : QWEN2_ROWS)); /* single bytes, or any */
            const char *piece = tokenizer_bytes(t, id, &size);
            if (size)
                memcpy(all + bytes, piece, size);
            bytes += size;
            size_t got = detokenizer_push(&d, piece, size, streamed + n);
            assert_true(got <= detokenizer_room(size));
            whole_characters(streamed + n, got);
            n += got;
        }
        n += detokenizer_finish(&d, streamed + n);
        m = detokenizer_push(&at_once, all, bytes, whole);
        m += detokenizer_finish(&at_once, whole + m);
        assert_int_equal(n, m);
        assert_memory_equal(streamed, whole, n);
    }
    tokenizer_free(t);
}

struct broken {
    const char *bytes, *text;
};

#define NO "\xef\xbf\xbd" /* U+FFFD */

/* Expected: Python's bytes.decode("utf-8", "replace"). */
static void invalid_bytes_become_one_sign_per_maximal_part(void **state)
{
    static const struct broken cases[] = {
        {"\xe3\x81\x82", "\xe3\x81\x82"},
        {"\xe3\x81", NO},
        {"\xe3\x81\xe3\x81\x82", NO "\xe3\x81\x82"},
        {"\xc0\x80", NO NO},
        {"\xed\xa0\x80", NO NO NO},
        {"\xf0\x9f\x98", NO},
        {"\xf0\x9f\x98\x41", NO "A"},
        {"\xf5\x80", NO NO},
        {"\xe0\x80\x80", NO NO NO},
        {"\xf4\x90\x80\x80", NO NO NO NO},
        {"\x80", NO},
        {"\xe3\xe3\xe3", NO NO NO},
        {"a\xf0\x9f\x98\x80z", "a\xf0\x9f\x98\x80z"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct detokenizer d = {0};
        char out[64];
        size_t n = 0;
        for (const char *p = cases[i].bytes; *p; p++)
            n += detokenizer_push(&d, p, 1, out + n);
        n += detokenizer_finish(&d, out + n);
        assert_int_equal(n, strlen(cases[i].text));
        assert_memory_equal(out, cases[i].text, n);
    }
}

static void normal_form_is_that_of_utf8proc(void **state)
{
    static const unsigned ranges[][2] = {
        {0x20, 0x180},    {0x300, 0x370},   {0x900, 0xa00},   {0x1100, 0x1200}, {0x1e00, 0x2000},
        {0x2100, 0x2200}, {0x3040, 0x3100}, {0xac00, 0xd7a4}, {0xf900, 0xfb50}, {0x1d150, 0x1d1c0}};
    unsigned r = 9;
    (void)state;
    for (int round = 0; round < 20000; round++) {
        char text[128];
        size_t size = 0, n;
        struct err e = {0};
        for (int i = 0; i < 24; i++) {
            const unsigned *range = ranges[next_random(&r) % 10];
            if (round % 3 == 0)
                range = ranges[1]; /* long runs of marks */
            size += (size_t)utf8proc_encode_char(
                (utf8proc_int32_t)(range[0] + next_random(&r) % (range[1] - range[0])),
                (utf8proc_uint8_t *)text + size);
        }
        text[size] = '\0';
        char *want = (char *)utf8proc_NFC((const utf8proc_uint8_t *)text),
             *got = nfc_compose(text, size, &n, &e);
        assert_int_equal(n, strlen(want));
        assert_memory_equal(got, want, n);
        if (nfc_settled(text, size))
            assert_string_equal(text, want);
        assert_true(round % 3 == 0 || nfc_settled("\xe3\x81\x8c", 3)); /* a character that recomposes */
        free(want);
        free(got);
    }
}

struct reader {
    const struct tokenizer *t;
    bool same;
};

static void *encode_often(void *arg)
{
    static const char text[] =
        "Threads share one tokenizer; \xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e too, and e\xcc\x81.";
    struct reader *r = arg;
    struct ids first = encode(r->t, text, strlen(text), SPECIALS_AS_TOKENS);
    r->same = true;
    for (int i = 0; i < 50; i++) {
        struct ids again = encode(r->t, text, strlen(text), SPECIALS_AS_TOKENS);
        r->same &=
            again.count == first.count && !memcmp(again.data, first.data, first.count * sizeof *first.data);
        ids_clear(&again);
    }
    ids_clear(&first);
    return NULL;
}

static void threads_share_a_tokenizer(void **state)
{
    struct tokenizer *t = text_data_tokenizer(TINY_AUDIO, TINY_ROWS);
    struct reader readers[4];
    pthread_t threads[4];
    (void)state;
    for (int i = 0; i < 4; i++) {
        readers[i] = (struct reader){t, false};
        assert_int_equal(pthread_create(&threads[i], NULL, encode_often, &readers[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_true(readers[i].same);
    }
    tokenizer_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_files_are_refused_with_what_was_expected),
        cmocka_unit_test(tokenizer_json_of_another_kind_is_refused),
        cmocka_unit_test(a_folder_without_a_tokenizer_is_refused),
        cmocka_unit_test(text_that_is_not_utf8_is_refused),
        cmocka_unit_test(ids_and_texts_are_those_of_the_reference),
        cmocka_unit_test(tokenizer_json_gives_the_same),
        cmocka_unit_test(a_version_line_windows_ends_and_escapes_change_nothing),
        cmocka_unit_test(flags_of_added_tokens_are_honoured),
        cmocka_unit_test(thousands_of_added_tokens_are_found_quickly),
        cmocka_unit_test(text_that_spells_an_added_token_can_stay_text),
        cmocka_unit_test(long_runs_take_no_quadratic_time),
        cmocka_unit_test(streamed_text_equals_whole_text_in_whole_characters),
        cmocka_unit_test(invalid_bytes_become_one_sign_per_maximal_part),
        cmocka_unit_test(normal_form_is_that_of_utf8proc),
        cmocka_unit_test(threads_share_a_tokenizer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
