/* The image of the ferry that was built: what is in it, what it says of itself, and that it is the same each
 * time. */
#include "folder.h"
#include "target/image.h"
#include "target/layout.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct fixture {
    char folder[FOLDER_PATH];
    struct image *image; /* created at 1764089000 */
};

static const struct image_options options = {.program = FERRY, .created = 1764089000};

/* One for all tests: compressing takes a second or two. */
static int open_fixture(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct err e = {0};
    folder_make(f->folder);
    f->image = image_build(&options, &e);
    if (!f->image)
        print_message("%s\n", e.text);
    *state = f;
    return f->image ? 0 : -1;
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;
    image_free(f->image);
    folder_remove(f->folder);
    free(f);
    return 0;
}

static json_t *parse(const struct image_blob *b)
{
    json_t *json = json_loadb(b->bytes, b->size, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(json);
    return json;
}

static const char *text_at(const json_t *json, const char *a, const char *b, const char *c)
{
    json = json_object_get(json, a);
    json = b ? json_object_get(json, b) : json;
    return json_string_value(c ? json_object_get(json, c) : json);
}

static const struct image_file *find(const struct image *im, const char *path)
{
    for (int i = 0; i < im->file_count; i++)
        if (strcmp(im->files[i].path, path) == 0)
            return &im->files[i];
    fail_msg("%s is not in the image", path);
    return NULL;
}

static void same_files_give_the_same_image(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    struct image *again = image_build(&options, &e);
    assert_non_null(again);
    assert_string_equal(again->manifest.digest, f->image->manifest.digest);
    for (int i = 0; i < IMAGE_LAYERS; i++) {
        const struct image_blob *a = &f->image->layers[i].blob, *b = &again->layers[i].blob;
        assert_int_equal(a->size, b->size);
        assert_memory_equal(a->bytes, b->bytes, a->size);
    }
    image_free(again);
}

static void another_program_changes_one_layer_and_another_date_none(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    struct image_options o = options;
    o.keep_symbols = true;
    o.created++;
    struct image *other = image_build(&o, &e);
    assert_non_null(other);
    const struct image_layer *a = f->image->layers, *b = other->layers;
    assert_string_equal(a[IMAGE_LIBRARIES].blob.digest, b[IMAGE_LIBRARIES].blob.digest);
    assert_string_not_equal(a[IMAGE_PROGRAM].blob.digest, b[IMAGE_PROGRAM].blob.digest);
    assert_true(a[IMAGE_PROGRAM].unpacked_size < b[IMAGE_PROGRAM].unpacked_size);
    assert_string_not_equal(f->image->config.digest, other->config.digest);
    image_free(other);
}

/* docs/design.md promises it: a cold start pulls the image. Sanitizers bring libraries of their own. */
static void image_stays_small(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < f->image->file_count; i++) {
        if (strstr(f->image->files[i].path, "libasan") || strstr(f->image->files[i].path, "libtsan"))
            skip();
    }
    assert_true(image_size(f->image) <= 12000000);
}

static void manifest_names_its_parts_as_they_are(void **state)
{
    struct fixture *f = *state;
    json_t *manifest = parse(&f->image->manifest), *layers = json_object_get(manifest, "layers");
    assert_int_equal(json_integer_value(json_object_get(manifest, "schemaVersion")), 2);
    assert_string_equal(text_at(manifest, "mediaType", NULL, NULL), IMAGE_MANIFEST_TYPE);
    assert_string_equal(text_at(manifest, "config", "digest", NULL), f->image->config.digest);
    assert_string_equal(text_at(manifest, "config", "mediaType", NULL), IMAGE_CONFIG_TYPE);
    assert_int_equal(json_array_size(layers), IMAGE_LAYERS);
    for (int i = 0; i < IMAGE_LAYERS; i++) {
        const struct image_blob *b = &f->image->layers[i].blob;
        json_t *layer = json_array_get(layers, (size_t)i);
        assert_string_equal(text_at(layer, "digest", NULL, NULL), b->digest);
        assert_string_equal(text_at(layer, "mediaType", NULL, NULL), IMAGE_LAYER_TYPE);
        assert_int_equal(json_integer_value(json_object_get(layer, "size")), b->size);
    }
    json_decref(manifest);
}

static void config_says_what_runs_and_as_whom(void **state)
{
    struct fixture *f = *state;
    json_t *config = parse(&f->image->config), *run = json_object_get(config, "config");
    json_t *diff_ids = json_object_get(json_object_get(config, "rootfs"), "diff_ids");
    char *entry = json_dumps(json_object_get(run, "Entrypoint"), JSON_COMPACT);
    assert_string_equal(text_at(config, "architecture", NULL, NULL), "amd64");
    assert_string_equal(text_at(config, "os", NULL, NULL), "linux");
    assert_string_equal(text_at(config, "created", NULL, NULL), "2025-11-25T16:43:20Z");
    assert_string_equal(text_at(run, "User", NULL, NULL), "65532:65532");
    assert_string_equal(entry, "[\"/ferry\",\"serve\"]");
    assert_non_null(json_object_get(json_object_get(run, "ExposedPorts"), "8080/tcp"));
    for (int i = 0; i < IMAGE_LAYERS; i++)
        assert_string_equal(json_string_value(json_array_get(diff_ids, (size_t)i)),
                            f->image->layers[i].diff_id);
    assert_int_equal(json_array_size(diff_ids), json_array_size(json_object_get(config, "history")));
    free(entry);
    json_decref(config);
}

static void labels_are_those_of_the_program(void **state)
{
    struct fixture *f = *state;
    json_t *config = parse(&f->image->config);
    json_t *labels = json_object_get(json_object_get(config, "config"), "Labels");
    const struct build_note *n = &f->image->note;
    const char *revision = text_at(labels, "org.opencontainers.image.revision", NULL, NULL);
    assert_string_equal(text_at(labels, "org.opencontainers.image.version", NULL, NULL), n->version);
    assert_string_equal(revision ? revision : "", n->revision);
    assert_string_equal(text_at(labels, "org.opencontainers.image.created", NULL, NULL),
                        "2025-11-25T16:43:20Z");
    json_decref(config);
}

static void program_is_what_ran_and_no_shell_is_there(void **state)
{
    struct fixture *f = *state;
    const struct image_file *program = find(f->image, "/ferry");
    assert_int_equal(program->mode, 0755);
    assert_int_equal(program->layer, IMAGE_PROGRAM);
    assert_int_equal(find(f->image, "/tmp/")->mode, 01777);
    assert_int_equal(find(f->image, "/lib64/ld-linux-x86-64.so.2")->mode, 0755);
    find(f->image, "/etc/ssl/certs/ca-certificates.crt");
    find(f->image, "/lib/x86_64-linux-gnu/libcurl.so.4");
    int programs = 0;
    for (int i = 0; i < f->image->file_count; i++) {
        const struct image_file *file = &f->image->files[i];
        bool folder = file->path[strlen(file->path) - 1] == '/';
        programs += !folder && (file->mode & 0111);
        assert_null(strstr(file->path, "bin/"));
    }
    assert_int_equal(programs, 2); /* ferry and the loader */
}

/* Everything the real tar unpacks, and nothing else, is what the list says, byte for byte. */
static void archive_holds_exactly_what_is_listed(void **state)
{
    struct fixture *f = *state;
    static char list[65536];
    char root[2 * FOLDER_PATH];
    snprintf(root, sizeof root, "%s/root", f->folder);
    assert_int_equal(mkdir(root, 0755), 0);
    for (int i = 0; i < IMAGE_LAYERS; i++) {
        const char *layer = folder_path(f->folder, "layer");
        folder_write(layer, f->image->layers[i].blob.bytes, f->image->layers[i].blob.size);
        assert_int_equal(folder_shell(NULL, 0, "tar -C %s -xpzf %s", root, layer), 0);
    }
    for (int i = 0; i < f->image->file_count; i++) {
        const struct image_file *file = &f->image->files[i];
        struct stat st;
        const char *path = folder_path(root, file->path + 1);
        if (lstat(path, &st) != 0 || (st.st_mode & 07777) != file->mode)
            fail_msg("%s is not there, or has another mode", file->path);
        if (file->source && strcmp(file->path, "/ferry") != 0)
            assert_int_equal(folder_shell(NULL, 0, "cmp %s %s", path, file->source), 0);
        if (S_ISREG(st.st_mode))
            assert_int_equal(st.st_size, file->size);
    }
    assert_int_equal(folder_shell(list, sizeof list, "cd %s && find . -mindepth 1 | wc -l", root), 0);
    assert_int_equal(atoi(list), f->image->file_count);
}

static void certificates_of_the_callers_choice_are_taken(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    const char *mine = folder_path(f->folder, "mine.pem");
    struct image_options o = options;
    folder_write(mine, "mine", 4);
    o.certificates = mine;
    struct image *im = image_build(&o, &e);
    assert_non_null(im);
    assert_string_equal(find(im, "/etc/ssl/certs/ca-certificates.crt")->source, mine);
    assert_int_equal(find(im, "/etc/ssl/certs/ca-certificates.crt")->size, 4);
    image_free(im);
    o.certificates = "/nonexistent.pem";
    assert_null(image_build(&o, &e));
    assert_string_equal(e.text, "layer of libraries: /nonexistent.pem: No such file or directory");
}

static void program_that_is_no_ferry_is_refused(void **state)
{
    static const struct {
        const char *program, *says;
    } cases[] = {
        {"/bin/sh", "/bin/sh: not a ferry program, or one from before images"},
        {"/etc/passwd", "/etc/passwd: not a ferry program, or one from before images"},
        {"/nonexistent", "/nonexistent: No such file or directory"},
        {"/", "/: not a regular file"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = {0};
        assert_null(image_build(&(struct image_options){.program = cases[i].program}, &e));
        assert_string_equal(e.text, cases[i].says);
    }
}

/* --- as a folder --- */

static json_t *read_json(const char *path)
{
    json_error_t at;
    json_t *json = json_load_file(path, 0, &at);
    if (!json)
        fail_msg("%s: %s", path, at.text);
    return json;
}

static void layout_holds_every_blob_under_its_digest(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    const char *layout = folder_path(f->folder, "layout");
    char again[100];
    assert_true(layout_write(f->image, layout, "latest", &e));
    assert_int_equal(
        folder_shell(NULL, 0,
                     "cd %s/blobs/sha256 && for n in *; do "
                     "test $n = $(sha256sum < $n | cut -c-64) || exit 9; done && test $(ls | wc -l) = 4",
                     layout),
        0);
    json_t *index = read_json(folder_path(layout, "index.json"));
    json_t *entry = json_array_get(json_object_get(index, "manifests"), 0);
    assert_string_equal(text_at(entry, "digest", NULL, NULL), f->image->manifest.digest);
    assert_string_equal(text_at(entry, "annotations", "org.opencontainers.image.ref.name", NULL), "latest");
    assert_int_equal(json_integer_value(json_object_get(entry, "size")), f->image->manifest.size);
    json_decref(index);
    assert_int_equal(folder_shell(again, sizeof again,
                                  "cd %s && find . -type f | sort | xargs sha256sum | sha256sum", layout),
                     0);
    char second[100];
    assert_true(layout_write(f->image, layout, "latest", &e)); /* again: the same */
    folder_shell(second, sizeof second, "cd %s && find . -type f | sort | xargs sha256sum | sha256sum",
                 layout);
    assert_string_equal(again, second);
}

static void other_images_of_a_layout_stay(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    const char *layout = folder_path(f->folder, "two"), *path = folder_path(layout, "index.json");
    assert_true(layout_write(f->image, layout, "one", &e));
    assert_true(layout_write(f->image, layout, "two", &e));
    assert_true(layout_write(f->image, layout, "two", &e));
    json_t *index = read_json(path);
    assert_int_equal(json_array_size(json_object_get(index, "manifests")), 2);
    json_decref(index);
    folder_write(path, "{}", 2);
    assert_false(layout_write(f->image, layout, "two", &e));
    assert_int_equal(e.kind, ERR_CORRUPT);
    assert_non_null(strstr(e.text, "/index.json: not the index of an image layout"));
}

static void blob_that_was_cut_is_written_anew(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    const char *layout = folder_path(f->folder, "cut");
    char blob[FOLDER_PATH * 2];
    struct stat st;
    assert_true(layout_write(f->image, layout, "latest", &e));
    snprintf(blob, sizeof blob, "%s/blobs/sha256/%s", layout, f->image->layers[0].blob.digest + 7);
    assert_int_equal(truncate(blob, 1000), 0);
    assert_true(layout_write(f->image, layout, "latest", &e));
    assert_int_equal(stat(blob, &st), 0);
    assert_int_equal(st.st_size, f->image->layers[0].blob.size);
}

static void folder_of_something_else_is_left_alone(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    const char *other = folder_path(f->folder, "other");
    assert_int_equal(mkdir(other, 0755), 0);
    assert_true(layout_write(f->image, other, "latest", &e)); /* an empty one is fine */
    other = folder_path(f->folder, "pictures");
    assert_int_equal(mkdir(other, 0755), 0);
    folder_write(folder_path(other, "cat.png"), "", 0);
    assert_false(layout_write(f->image, other, "latest", &e));
    assert_int_equal(e.kind, ERR_USAGE);
    assert_non_null(strstr(e.text, "/pictures: holds something else than images; name a new folder"));
    assert_false(layout_write(f->image, folder_path(other, "cat.png"), "latest", &e));
    assert_false(layout_write(f->image, "/nonexistent/a/b", "latest", &e));
    assert_string_equal(e.text, "/nonexistent/a/b: No such file or directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_files_give_the_same_image),
        cmocka_unit_test(another_program_changes_one_layer_and_another_date_none),
        cmocka_unit_test(image_stays_small),
        cmocka_unit_test(manifest_names_its_parts_as_they_are),
        cmocka_unit_test(config_says_what_runs_and_as_whom),
        cmocka_unit_test(labels_are_those_of_the_program),
        cmocka_unit_test(program_is_what_ran_and_no_shell_is_there),
        cmocka_unit_test(archive_holds_exactly_what_is_listed),
        cmocka_unit_test(certificates_of_the_callers_choice_are_taken),
        cmocka_unit_test(program_that_is_no_ferry_is_refused),
        cmocka_unit_test(layout_holds_every_blob_under_its_digest),
        cmocka_unit_test(other_images_of_a_layout_stay),
        cmocka_unit_test(blob_that_was_cut_is_written_anew),
        cmocka_unit_test(folder_of_something_else_is_left_alone),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
