/* The files a tokenizer is read from: what is refused, with which words, and that all forms say the same. */
#include "token_cases.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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
    const struct file_source files = file_source_folder("data/goldens/audio");
    assert_null(tokenizer_new(&files, 100, &e));
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_string_equal(e.text, "data/goldens/audio: no tokenizer: expected vocab.json, merges.txt and "
                                "tokenizer_config.json, or tokenizer.json");
}

/* --- told again ------------------------------------------------------------------------------------------
 */

static int check_base_tokens(const struct vocabulary *v, const char *text)
{
    json_t *base = parse(text), *id;
    const char *key;
    int count = 0;
    json_object_foreach(base, key, id)
    {
        const struct vocabulary_token *t = &v->tokens[json_integer_value(id)];
        assert_string_equal(t->text, key);
        assert_int_equal(t->kind, TOKEN_BASE);
        count++;
    }
    json_decref(base);
    return count;
}

static int check_added_tokens(const struct vocabulary *v, const char *config)
{
    json_t *added = added_as_json(config), *entry;
    size_t i;
    json_array_foreach(added, i, entry)
    {
        const struct vocabulary_token *t = &v->tokens[json_integer_value(json_object_get(entry, "id"))];
        bool special = json_is_true(json_object_get(entry, "special"));
        assert_string_equal(t->text, json_string_value(json_object_get(entry, "content")));
        assert_int_equal(t->kind, special ? TOKEN_SPECIAL : TOKEN_ADDED);
    }
    json_decref(added);
    return (int)i;
}

static void check_merges(const struct vocabulary *v, const char *text)
{
    json_t *lines = merges_as_json(text, false), *line;
    size_t i;
    assert_int_equal(v->merge_count, json_array_size(lines));
    json_array_foreach(lines, i, line)
    {
        assert_string_equal(v->merges[i], json_string_value(line));
    }
    json_decref(lines);
}

static void check_told_again(const char *folder, int rows)
{
    struct folder_files d;
    struct vocabulary v;
    struct err e = {0};
    struct tokenizer *t = text_data_tokenizer(folder, rows);
    struct arena *a = arena_new(SIZE_MAX);
    int none = 0;
    load_files(&d, folder);
    assert_true(tokenizer_vocabulary(t, &v, a, &e));
    assert_int_equal(v.count, rows);
    for (int i = 0; i < rows; i++)
        none += v.tokens[i].kind == TOKEN_NONE && *v.tokens[i].text == '\0';
    assert_int_equal(check_base_tokens(&v, d.vocab) + check_added_tokens(&v, d.config) + none, rows);
    check_merges(&v, d.merges);
    free_files(&d);
    arena_free(a);
    tokenizer_free(t);
}

static void a_tokenizer_is_told_again_as_its_files_told_it(void **state)
{
    (void)state;
    check_told_again(QWEN2_TOKENIZER, QWEN2_ROWS);
    check_told_again(TINY_AUDIO, TINY_ROWS);
}

static void added_tokens_that_are_part_of_the_text_are_told_apart(void **state)
{
    struct folder_files d;
    struct vocabulary v;
    struct err e = {0};
    struct arena *small = arena_new(1000), *a = arena_new(SIZE_MAX);
    load_files(&d, TINY_AUDIO);
    json_t *config = parse(d.config);
    (void)state;
    json_object_set_new(json_object_get(json_object_get(config, "added_tokens_decoder"), "1030"), "special",
                        json_false());
    char *text = json_dumps(config, 0);
    const struct token_files f = {file_of(d.vocab), file_of(d.merges), file_of(text), {0}};
    struct tokenizer *t = tokenizer_parse(&f, TINY_ROWS, &e);
    assert_true(tokenizer_vocabulary(t, &v, a, &e));
    assert_int_equal(v.tokens[1029].kind, TOKEN_SPECIAL);
    assert_int_equal(v.tokens[1030].kind, TOKEN_ADDED);
    assert_string_equal(v.tokens[1030].text, "<|extra_0|>");
    assert_int_equal(v.tokens[1034].kind, TOKEN_NONE);
    assert_false(tokenizer_vocabulary(t, &v, small, &e));
    assert_int_equal(e.kind, ERR_MEMORY);
    tokenizer_free(t);
    free(text);
    json_decref(config);
    free_files(&d);
    arena_free(small);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_files_are_refused_with_what_was_expected),
        cmocka_unit_test(tokenizer_json_of_another_kind_is_refused),
        cmocka_unit_test(a_folder_without_a_tokenizer_is_refused),
        cmocka_unit_test(tokenizer_json_gives_the_same),
        cmocka_unit_test(a_tokenizer_is_told_again_as_its_files_told_it),
        cmocka_unit_test(added_tokens_that_are_part_of_the_text_are_told_apart),
        cmocka_unit_test(a_version_line_windows_ends_and_escapes_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
