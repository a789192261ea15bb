/* The real program: models encoded on the way, from the hub, a bucket and a folder, against the emulator. */
#include "scratch.h"

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define B "gs://" SCRATCH_BUCKET
#define REPO "hub/owner/name/"

/* A byte of every shard is wrong, behind its header. */
#define WRONG_WEIGHTS "{\"faults\":[{\"host\":\"cdn\",\"times\":0,\"do\":{\"corrupt_byte\":200000}}]}"

static char *ferry, *tiny; /* the program; a model folder of three shards */
static struct scratch scratch;

static void copy_repository(void)
{
    char command[700];
    snprintf(command, sizeof command, "mkdir -p " REPO " && cp '%s'/* " REPO " && chmod -R u+w hub", tiny);
    assert_int_equal(system(command), 0);
}

/* The pack that this folder's model gives, as a local folder: what every other way must give too. */
static void expect_pack(struct scratch *s, const char *uri, const char *encoding)
{
    char folder[64];
    snprintf(folder, sizeof folder, "expected-%s", encoding);
    if (!scratch_exists(folder))
        scratch_ok(s, "pack", "hf://owner/name", folder, "-e", encoding);
    scratch_ok(s, "stage", "--check", "--deep", uri);
    scratch_ok(s, "cp", "-r", uri, "fetched");
    snprintf(folder, sizeof folder, "expected-%s/model.safetensors", encoding);
    scratch_same(folder, "fetched/model.safetensors");
    scratch_same(REPO "config.json", "fetched/config.json");
    assert_false(scratch_exists("fetched/model.safetensors.index.json"));
    assert_int_equal(system("rm -r fetched"), 0);
}

static void model_is_encoded_on_its_way_from_the_hub(void **state)
{
    struct scratch *s = *state;
    copy_repository();
    scratch_ok(s, "stage", "owner/name", B "/m", "--encode", "q8_0");
    assert_non_null(strstr(s->last.out, "model.safetensors: the weights in q8_0, 1.07 MB"));
    assert_non_null(strstr(s->last.out, " is staged completely in " B "/m/\n"));
    expect_pack(s, B "/m", "q8_0");
    emulator_log_clear(&s->emulator);
    scratch_ok(s, "stage", "owner/name", B "/m", "--encode", "q8_0");
    assert_non_null(strstr(s->last.out, "nothing to do"));
    assert_int_equal(emulator_count(&s->emulator, "PUT", NULL, 0).requests, 0);
    assert_int_equal(emulator_count(&s->emulator, "POST", NULL, 0).requests, 0);
}

static void other_encoding_replaces_only_when_told(void **state)
{
    struct scratch *s = *state;
    copy_repository();
    scratch_ok(s, "stage", "owner/name", B "/m", "--encode", "q8_0");
    assert_int_equal(scratch_run(s, "stage", "owner/name", B "/m", "--encode", "q4_0"), 4);
    assert_non_null(strstr(s->last.err, " in q8_0. Replace it by hf://owner/name at "));
    scratch_ok(s, "stage", "owner/name", B "/m", "--encode", "q4_0", "--yes");
    expect_pack(s, B "/m", "q4_0");
}

static void staged_model_is_packed_where_it_lies(void **state)
{
    struct scratch *s = *state;
    copy_repository();
    scratch_ok(s, "stage", "owner/name", B "/whole");
    scratch_ok(s, "pack", B "/whole", B "/small", "--encode", "q4_0");
    assert_non_null(strstr(s->last.out, "hf://owner/name at ")); /* as the manifest there says */
    expect_pack(s, B "/small", "q4_0");
    assert_int_equal(scratch_run(s, "pack", B "/small", B "/again", "--encode", "q8_0"), 1);
    assert_non_null(strstr(s->last.err, "is encoded already (q4_0); pack the model itself, hf://owner/name"));
}

static void dry_run_says_how_large_it_will_be(void **state)
{
    struct scratch *s = *state;
    copy_repository();
    scratch_ok(s, "stage", "owner/name", B "/m", "--encode", "q8_0", "--dry-run");
    assert_non_null(strstr(s->last.out, "  encode    model-00001-of-00003.safetensors (429 kB)\n"));
    assert_non_null(strstr(s->last.out, "  q8_0      model.safetensors (1.07 MB)"));
    scratch_ok(s, "stage", "owner/name", B "/m", "--encode", "q8_0", "--dry-run", "--json");
    json_t *o = json_loads(s->last.out, 0, NULL), *pack = json_object_get(o, "pack");
    assert_string_equal(json_string_value(json_object_get(pack, "encoding")), "q8_0");
    assert_in_range(json_integer_value(json_object_get(pack, "size")), 1060000, 1080000);
    json_decref(o);
    scratch_ok(s, "ls", B);
    assert_string_equal(s->last.out, "");
}

static void killed_at_any_moment_it_goes_on(void **state)
{
    struct scratch *s = *state;
    static struct outcome o;
    copy_repository();
    emulator_faults(&s->emulator, "slow");
    for (int i = 0; i < 10; i++) {
        struct program p;
        program_start(&p, s->ferry,
                      (const char *const[]){"stage", "owner/name", B "/m", "-e", "q8_0", "-w", "2", NULL});
        usleep((useconds_t)(30000 + 40000 * i));
        kill(p.pid, SIGKILL);
        program_finish(&p, NULL, &o);
        if (scratch_run(s, "stage", "--check", "--deep", B "/m") == 0)
            break; /* it was fast enough */
    }
    emulator_faults(&s->emulator, NULL);
    scratch_ok(s, "stage", "owner/name", B "/m", "-e", "q8_0");
    expect_pack(s, B "/m", "q8_0");
}

static void faults_on_the_way_end_well(void **state)
{
    static const char *const faults[] = {"reset-while-reading", "corrupt-byte-while-reading",
                                         "lost-answer-of-seal", "unavailable-answer", "short-body"};
    struct scratch *s = *state;
    char uri[100];
    copy_repository();
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        snprintf(uri, sizeof uri, B "/%s", faults[i]);
        emulator_faults(&s->emulator, faults[i]);
        scratch_run(s, "stage", "owner/name", uri, "-e", "q8_0");
        if (s->last.code != 0)
            fail_msg("%s: %s", faults[i], s->last.err);
        emulator_faults(&s->emulator, NULL);
        expect_pack(s, uri, "q8_0");
    }
}

static void wrong_bytes_are_never_published(void **state)
{
    struct scratch *s = *state;
    copy_repository();
    emulator_faults(&s->emulator, WRONG_WEIGHTS);
    assert_int_equal(scratch_run(s, "stage", "owner/name", B "/m", "-e", "q8_0"), 1);
    assert_non_null(strstr(s->last.err, "sha256 of what arrived is "));
    emulator_faults(&s->emulator, NULL);
    assert_int_equal(scratch_run(s, "ls", B "/m/model.safetensors"), 1);
    scratch_ok(s, "stage", "owner/name", B "/m", "-e", "q8_0");
    expect_pack(s, B "/m", "q8_0");
}

/* --- for other programs --- */

static void expect_gguf(const char *path)
{
    char begin[4];
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("%s is not there", path);
    assert_int_equal(fread(begin, 1, sizeof begin, f), sizeof begin);
    assert_memory_equal(begin, "GGUF", sizeof begin);
    fclose(f);
}

static void gguf_files_come_of_a_folder_and_of_its_pack(void **state)
{
    struct scratch *s = *state;
    copy_repository();
    scratch_ok(s, "pack", "./" REPO, "a/m.gguf", "--to", "gguf", "-e", "q4_0", "--dry-run");
    assert_non_null(strstr(s->last.out, "a/m.gguf: the language model in q4_0, 479 kB\n"));
    assert_non_null(strstr(s->last.out, "nothing was written"));
    assert_false(scratch_exists("a"));
    assert_int_equal(system("mkdir a b"), 0);
    scratch_ok(s, "pack", "./" REPO, "a/m.gguf", "--to", "gguf", "-e", "q4_0");
    assert_non_null(
        strstr(s->last.out, "a/m-mmproj.gguf: the audio tower and the projector in q8_0, 568 kB\n"));
    expect_gguf("a/m.gguf");
    expect_gguf("a/m-mmproj.gguf");
    scratch_ok(s, "pack", "./" REPO, "name", "-e",
               "q4_0"); /* named as the repository: so is the file's model */
    scratch_ok(s, "pack", "./name", "b/m.gguf", "--to", "gguf");
    scratch_same("a/m.gguf", "b/m.gguf");
    scratch_same("a/m-mmproj.gguf", "b/m-mmproj.gguf");
    assert_int_equal(system("test $(ls a | wc -l) = 2"), 0); /* nothing else is left */
}

static void gguf_files_are_replaced_only_when_told(void **state)
{
    struct scratch *s = *state;
    copy_repository();
    scratch_text("m-mmproj.gguf", "mine");
    assert_int_equal(scratch_run(s, "pack", "./" REPO, "m.gguf", "--to", "gguf"), 4);
    assert_non_null(strstr(s->last.err, "m-mmproj.gguf is there already. Replace it?"));
    assert_false(scratch_exists("m.gguf"));
    scratch_ok(s, "pack", "./" REPO, "m.gguf", "--to", "gguf", "--yes", "--json");
    expect_gguf("m-mmproj.gguf");
    json_t *o = json_loads(s->last.out, 0, NULL), *files = json_object_get(o, "files");
    assert_int_equal(json_array_size(files), 2);
    json_t *first = json_array_get(files, 0);
    assert_string_equal(json_string_value(json_object_get(first, "name")), "m.gguf");
    assert_string_equal(json_string_value(json_object_get(first, "encoding")), "BF16");
    json_decref(o);
}

static const struct {
    const char *words[9];
    int code;
    const char *says;
} refused[] = {
    {{"pack", "owner/name", "x.gguf", "--to", "gguf"}, 2, "owner/name: not a folder on this machine"},
    {{"pack", B "/m", "x.gguf", "--to", "gguf"}, 2, "not a folder on this machine, which --to gguf takes"},
    {{"pack", "./" REPO, "x", "--to", "gguf"}, 2, "x: expected a file on this machine that ends in .gguf"},
    {{"pack", "./" REPO, ".gguf", "--to", "gguf"}, 2, "expected a file on this machine that ends in .gguf"},
    {{"pack", "./" REPO, B "/x.gguf", "--to", "gguf"}, 2, "expected a file on this machine"},
    {{"pack", "./" REPO, "none/x.gguf", "--to", "gguf"}, 1, "none/x-mmproj.gguf.partial: No such file"},
    {{"pack", "./" REPO, "x.gguf", "--to", "onnx"}, 2, "expected one of folder|gguf"},
    {{"pack", "./empty", "x.gguf", "--to", "gguf"}, 1, "config.json"},
    {{"pack", "owner/name", "x"}, 2, "encoded how? --encode bf16, q8_0 or q4_0"},
    {{"pack", "owner/name"}, 2, "which model, to where?"},
    {{"pack", "./none", "x", "-e", "q8_0"}, 1, "./none: no such folder"},
    {{"pack", "./" REPO, REPO, "-e", "q8_0"}, 2, "would be packed onto itself"},
    {{"pack", "./empty", "x", "-e", "q8_0"}, 1, "no safetensors there to encode"},
    {{"pack", "./no-config", "x", "-e", "q8_0"}, 1, "no config.json, which says what its weights are"},
    {{"pack", "./broken", "x", "-e", "q8_0"}, 1, "model.safetensors: header of "},
    {{"pack", "owner/name", "x", "-e", "q2_k"}, 2, "expected one of none|bf16|q8_0|q4_0"},
};

static void each_refusal_says_what_to_do(void **state)
{
    struct scratch *s = *state;
    copy_repository();
    scratch_text("empty/readme", "");
    scratch_text("no-config/model.safetensors", "");
    scratch_text("broken/model.safetensors", "no safetensors file");
    assert_int_equal(system("cp " REPO "*.json broken"), 0);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const char *words[10] = {NULL};
        memcpy(words, refused[i].words, sizeof refused[i].words);
        int code = scratch_run_words(s, NULL, words);
        if (code != refused[i].code || !strstr(s->last.err, refused[i].says))
            fail_msg("%s %s: code %d: %s", words[0], words[1], code, s->last.err);
        assert_ptr_equal(strchr(s->last.err, '\n'), strrchr(s->last.err, '\n')); /* one line */
    }
}

static void endpoint_that_takes_parts_in_order_alone_is_refused(void **state)
{
    struct scratch *s = *state;
    copy_repository();
    emulator_faults(&s->emulator, "no-multipart");
    assert_int_equal(scratch_run(s, "stage", "owner/name", B "/m", "-e", "q8_0"), 1);
    assert_non_null(strstr(s->last.err, "takes the parts of a file only in order"));
    emulator_faults(&s->emulator, NULL);
}

static int start(void **state)
{
    scratch_start(&scratch, ferry);
    *state = &scratch;
    return 0;
}

static int end(void **state)
{
    scratch_end(*state);
    return 0;
}

#define test(f) cmocka_unit_test_setup_teardown(f, start, end)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        test(model_is_encoded_on_its_way_from_the_hub),
        test(other_encoding_replaces_only_when_told),
        test(staged_model_is_packed_where_it_lies),
        test(dry_run_says_how_large_it_will_be),
        test(killed_at_any_moment_it_goes_on),
        test(faults_on_the_way_end_well),
        test(wrong_bytes_are_never_published),
        test(gguf_files_come_of_a_folder_and_of_its_pack),
        test(gguf_files_are_replaced_only_when_told),
        test(each_refusal_says_what_to_do),
        test(endpoint_that_takes_parts_in_order_alone_is_refused),
    };
    if (argc != 3)
        return 2;
    ferry = argv[1];
    tiny = argv[2];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
