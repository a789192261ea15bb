#include "base/crc32c.h"
#include "base/file.h"
#include "scratch.h"
#include "transfer/journal.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SOURCE "hf://owner/model"
#define TARGET "gs://bucket/models/model"
#define NAME "models/a b%#日本.safetensors"

enum { PART = 2048, RANGE = 1024, SIZE = 5000 }; /* parts of 2048, 2048, 904; five ranges */

static const uint32_t ranges[5] = {0x11111111, 0x22222222, 0x33333333, 0x44444444, 0x55555555};
static const char some_sha256[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

static struct journal *open_it(void)
{
    struct err e = {0};
    struct journal *j = journal_open(SOURCE, TARGET, &e);
    if (!j)
        fail_msg("%s", e.text);
    return j;
}

static uint32_t whole(void)
{
    uint32_t crc = 0;
    for (int i = 0; i < 5; i++)
        crc = crc32c_combine(crc, ranges[i], i < 4 ? RANGE : SIZE - 4 * RANGE);
    return crc;
}

static void state_after(int parts, char out[SHA256_STATE_TEXT])
{
    static const char zeros[PART];
    struct sha256 h;
    sha256_start(&h);
    for (int i = 0; i < parts; i++)
        sha256_add(&h, zeros, PART);
    assert_true(sha256_save(&h, out));
}

static const struct journal_start start = {.name = NAME,
                                           .identity = "sha256:abc",
                                           .upload_token = "id 7",
                                           .size = SIZE,
                                           .part_bytes = PART,
                                           .range_bytes = RANGE};

static void begin(struct journal *j)
{
    struct err e = {0};
    if (!journal_begin(j, &start, &e))
        fail_msg("%s", e.text);
}

static void part(struct journal *j, int number)
{
    char state[SHA256_STATE_TEXT] = "";
    struct err e = {0};
    if (number < 2)
        state_after(number + 1, state);
    if (!journal_part(j, NAME, number, ranges + number * 2, number < 2 ? 2 : 1, state, &e))
        fail_msg("%s", e.text);
}

static void seal(struct journal *j)
{
    struct err e = {0};
    if (!journal_sealing(j, NAME, &(struct journal_seal){whole(), some_sha256, ranges, 5}, &e))
        fail_msg("%s", e.text);
}

static void fill(struct journal *j)
{
    struct err e = {0};
    begin(j);
    part(j, 0);
    part(j, 1);
    part(j, 2);
    seal(j);
    assert_true(journal_done(j, NAME, 1234567890123456, &e));
}

/* The journal's text as it lies there, and a way to put another in its place. */
static char *read_bytes(const char *path, size_t *size)
{
    struct arena *a = arena_new(1 << 20);
    struct err e = {0};
    char *text = file_read(a, path, 1 << 19, size, &e), *copy = malloc(1 << 19);
    assert_non_null(text);
    memcpy(copy, text, *size);
    arena_free(a);
    return copy;
}

static void write_bytes(const char *path, const char *text, size_t size)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static void file_in_one_piece_is_known_to_the_next_run(void **state)
{
    (void)state;
    struct err e = {0};
    struct journal *j = open_it();
    const struct journal_start small = {.name = NAME,
                                        .identity = "git:1",
                                        .upload_token = "",
                                        .size = SIZE,
                                        .part_bytes = PART,
                                        .range_bytes = RANGE};
    struct journal_seal sealed = {whole(), some_sha256, ranges, 5};
    assert_true(journal_whole(j, &small, &sealed, 77, &e));
    journal_close(j);
    j = open_it();
    const struct journal_file *f = journal_find(j, NAME);
    assert_non_null(f);
    assert_true(f->sealing && f->done);
    assert_int_equal(f->generation, 77);
    assert_string_equal(f->start.identity, "git:1");
    assert_memory_equal(f->seal.ranges, ranges, sizeof ranges);
    sealed.crc32c++; /* not that of its ranges */
    assert_false(journal_whole(j, &small, &sealed, 78, &e));
    assert_true(journal_remove(j, &e));
}

static void what_was_written_is_known_to_the_next_run(void **state)
{
    (void)state;
    struct journal *j = open_it();
    struct stat st;
    assert_null(journal_find(j, NAME));
    begin(j);
    part(j, 0);
    part(j, 2);
    assert_int_equal(stat(journal_path(j), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    journal_close(j);

    j = open_it();
    char expected[SHA256_STATE_TEXT];
    state_after(1, expected);
    const struct journal_file *f = journal_find(j, NAME);
    assert_non_null(f);
    assert_string_equal(f->start.name, NAME);
    assert_string_equal(f->start.identity, "sha256:abc");
    assert_string_equal(f->start.upload_token, "id 7");
    assert_int_equal(f->start.size, SIZE);
    assert_int_equal(f->part_count, 3);
    assert_true(f->parts[0].there && !f->parts[1].there && f->parts[2].there);
    assert_string_equal(f->parts[0].sha256_state, expected);
    assert_string_equal(f->parts[2].sha256_state, "");
    assert_memory_equal(f->parts[0].ranges, ranges, 8);
    assert_int_equal(f->parts[2].range_count, 1);
    assert_int_equal(f->parts[2].ranges[0], ranges[4]);
    assert_false(f->sealing || f->done);
    journal_close(j);

    j = open_it();
    part(j, 1);
    seal(j);
    struct err e = {0};
    assert_true(journal_done(j, NAME, -5, &e));
    journal_close(j);

    j = open_it();
    f = journal_find(j, NAME);
    assert_true(f->sealing && f->done);
    assert_int_equal(f->generation, -5);
    assert_int_equal(f->seal.crc32c, whole());
    assert_string_equal(f->seal.sha256, some_sha256);
    assert_memory_equal(f->seal.ranges, ranges, sizeof ranges);
    assert_true(journal_remove(j, &e));
}

static void a_new_beginning_forgets_the_parts(void **state)
{
    (void)state;
    struct err e = {0};
    struct journal *j = open_it();
    fill(j);
    struct journal_start other = start;
    other.identity = "sha256:other";
    assert_true(journal_begin(j, &other, &e));
    journal_close(j);
    j = open_it();
    const struct journal_file *f = journal_find(j, NAME);
    assert_string_equal(f->start.identity, "sha256:other");
    assert_null(f->parts);
    assert_false(f->sealing || f->done);
    assert_true(journal_remove(j, &e));
}

static void a_part_stored_again_takes_back_the_seal(void **state)
{
    (void)state;
    struct err e = {0};
    struct journal *j = open_it();
    begin(j);
    part(j, 0);
    seal(j);
    part(j, 2);
    assert_false(journal_find(j, NAME)->sealing);
    seal(j);
    seal(j);
    assert_true(journal_find(j, NAME)->sealing);
    assert_true(journal_remove(j, &e));
}

/* Whatever kill -9 or a full disk leaves of it: the whole lines count, and what follows is written behind
 * them. */
static void cut_at_every_byte_the_whole_lines_count(void **state)
{
    (void)state;
    struct err e = {0};
    size_t size, newlines = 0;
    struct journal *j = open_it();
    fill(j);
    char *text = read_bytes(journal_path(j), &size), path[1400];
    snprintf(path, sizeof path, "%s", journal_path(j));
    journal_close(j);
    for (size_t cut = 0; cut <= size; cut++) {
        int lines;
        newlines += cut > 0 && text[cut - 1] == '\n';
        assert_true(journal_check(text, cut, &lines, &e));
        assert_int_equal(lines, newlines);
        write_bytes(path, text, cut);
        j = open_it();
        const struct journal_file *f = journal_find(j, NAME);
        assert_int_equal(f != NULL, newlines >= 2);
        assert_int_equal(f && f->parts && f->parts[0].there, newlines >= 3 && newlines < 7);
        assert_int_equal(f && f->sealing, newlines >= 6);
        assert_int_equal(f && f->done, newlines == 7);
        begin(j);
        part(j, 1);
        journal_close(j);
        j = open_it();
        f = journal_find(j, NAME);
        assert_true(f && f->parts && f->parts[1].there && !f->parts[0].there);
        journal_close(j);
    }
    assert_true(journal_remove(open_it(), &e));
    free(text);
}

static void a_changed_byte_ends_what_counts(void **state)
{
    (void)state;
    struct err e = {0};
    size_t size;
    struct journal *j = open_it();
    fill(j);
    char *text = read_bytes(journal_path(j), &size);
    assert_true(journal_remove(j, &e));
    int before = 0, lines;
    for (size_t i = 0; i < size; i++) {
        bool end = text[i] == '\n';
        text[i] ^= 4;
        assert_true(journal_check(text, size, &lines, &e));
        assert_int_equal(lines, before);
        text[i] ^= 4;
        before += end;
    }
    free(text);
}

static void line(char *out, size_t room, const char *text)
{
    snprintf(out + strlen(out), room - strlen(out), "%s =%08x\n", text, crc32c(0, text, strlen(text)));
}

/* The checksum is right, and yet it is nothing that a journal says. */
static void lines_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "begin",
        "begin b 10 id 64 64 1",
        "begin b 10 id 64 64 1 - more",
        "begin - 10 id 64 64 1 -",
        "begin b -1 id 64 64 1 -",
        "begin b 010 id 64 64 1 -",
        "begin b 99999999999999999999 id 64 64 1 -",
        "begin b 10 id 0 64 1 -",
        "begin b 10 id 64 0 1 -",
        "begin b 10 id 64 48 1 -",
        "begin b 10 id 64 64 2 -",
        "begin b 10 id 4294967296 64 1 -",
        "begin b 9000000000000000 id 64 64 1 -",
        "begin  10 id 64 64 1 -",
        "begin b%0 10 id 64 64 1 -",
        "begin b%00 10 id 64 64 1 -",
        "begin b%2G 10 id 64 64 1 -",
        "part unknown 0 11111111 -",
        "part a 2 11111111 -",
        "part a -1 11111111 -",
        "part a 0 11111111 -",
        "part a 0 11111111,22222222, -",
        "part a 0 11111111,2222222G -",
        "part a 0 11111111;22222222 -",
        "part a 0 - -",
        "part a 0 11111111,22222222 nonsense",
        "part a 0 11111111,22222222 - more",
        "part empty 0 - -",
        "seal unknown 00000000 - -",
        "seal a 00000001 - 11111111,22222222,33333333",
        "seal a 0 - 11111111,22222222,33333333",
        "seal empty 00000001 - -",
        "seal empty 00000000 0123 -",
        "seal empty 00000000 - 00000000",
        "done a 5",
        "done unknown 5",
        "ferry-journal 1 s t",
        "other",
    };
    struct err e = {0};
    int lines;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char text[2000] = "";
        line(text, sizeof text, "ferry-journal 1 s t");
        line(text, sizeof text, "begin a 160 id 128 64 1 token");
        line(text, sizeof text, "begin empty 0 id 64 64 1 -");
        line(text, sizeof text, wrong[i]);
        line(text, sizeof text, "part a 0 11111111,22222222 -");
        assert_true(journal_check(text, strlen(text), &lines, &e));
        if (lines != 3)
            fail_msg("%s: %d lines count", wrong[i], lines);
    }
    static const char *const first[] = {"ferry-journal 2 s t", "ferry-journal 1 s",
                                        "begin a 10 id 64 64 1 -"};
    for (size_t i = 0; i < 3; i++) {
        char text[2000] = "";
        line(text, sizeof text, first[i]);
        assert_true(journal_check(text, strlen(text), &lines, &e));
        assert_int_equal(lines, 0);
    }
    char right[2000] = "";
    line(right, sizeof right, "ferry-journal 1 s t");
    line(right, sizeof right, "begin empty 0 id 64 64 1 -");
    line(right, sizeof right, "seal empty 00000000 - -");
    line(right, sizeof right, "done empty -9223372036854775808");
    assert_true(journal_check(right, strlen(right), &lines, &e));
    assert_int_equal(lines, 4);
    line(right, sizeof right, "done empty 1");
    assert_true(journal_check(right, strlen(right), &lines, &e));
    assert_int_equal(lines, 4);
}

static void what_cannot_be_read_again_is_not_written(void **state)
{
    (void)state;
    struct err e = {0};
    struct journal *j = open_it();
    size_t before, after;
    begin(j);
    free(read_bytes(journal_path(j), &before));
    assert_false(journal_part(j, "unknown", 0, ranges, 2, "", &e));
    assert_int_equal(e.kind, ERR_USAGE);
    assert_false(journal_part(j, NAME, 3, ranges, 2, "", &e));
    assert_false(journal_part(j, NAME, 0, ranges, 1, "", &e));
    assert_false(journal_part(j, NAME, 0, ranges, 2, "state", &e));
    assert_false(journal_done(j, NAME, 1, &e));
    assert_false(journal_sealing(j, NAME, &(struct journal_seal){1, "", ranges, 5}, &e));
    free(read_bytes(journal_path(j), &after));
    assert_int_equal(before, after);
    assert_true(journal_remove(j, &e));
}

static void another_process_is_told_who_has_it(void **state)
{
    (void)state;
    struct err e = {0};
    struct journal *j = open_it();
    pid_t child = fork();
    if (child == 0) {
        char mine[100];
        struct journal *second = journal_open(SOURCE, TARGET, &e);
        snprintf(mine, sizeof mine, "process %d is at the same copy", (int)getppid());
        _exit(second || e.kind != ERR_BUSY || !strstr(e.text, mine));
    }
    int status;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    assert_true(journal_remove(j, &e));
}

static void other_pairs_have_other_journals(void **state)
{
    (void)state;
    struct err e = {0};
    struct journal *a = journal_open("/x/a", "/y", &e), *b = journal_open("/x", "/ay", &e);
    assert_non_null(a);
    assert_non_null(b);
    assert_string_not_equal(journal_path(a), journal_path(b));
    assert_non_null(strstr(journal_path(a), "/ferry/a-"));
    char leaf[JOURNAL_LEAF];
    assert_string_equal(strrchr(journal_path(a), '/') + 1, journal_leaf("/x/a", "/y", leaf));
    assert_true(journal_remove(a, &e) && journal_remove(b, &e));
}

/* What another machine wrote is looked at, and no file comes of it. */
static void text_of_a_journal_says_what_the_journal_does(void **state)
{
    (void)state;
    struct err e = {0};
    size_t size;
    struct journal *j = journal_open("/seen", "/there", &e);
    struct journal_start begun = {
        .name = "a", .identity = "x", .upload_token = "", .size = 5, .part_bytes = 8, .range_bytes = 8};
    uint32_t range = 7;
    struct journal_seal seal = {.crc32c = 7, .sha256 = "", .ranges = &range, .range_count = 1};
    assert_true(journal_whole(j, &begun, &seal, 3, &e));
    char *text = journal_text(j, &size, &e);
    assert_non_null(text);
    assert_true(journal_remove(j, &e));
    struct journal *seen = journal_of_text("/seen", "/there", text, size, &e);
    const struct journal_file *f = journal_find(seen, "a");
    assert_true(f && f->done && f->seal.crc32c == 7 && f->seal.ranges[0] == 7);
    assert_null(journal_find(seen, "b"));
    journal_close(seen);
    assert_false(journal_exists("/seen", "/there"));
    assert_null(journal_of_text("/seen", "/elsewhere", text, size, &e));
    assert_int_equal(e.kind, ERR_CORRUPT);
    assert_null(journal_of_text("/seen", "/there", "", 0, &e));
    free(text);
}

static void somebody_elses_lines_do_not_count(void **state)
{
    (void)state;
    struct err e = {0};
    size_t size;
    struct journal *j = open_it(), *other = journal_open("elsewhere", TARGET, &e);
    char path[1400];
    fill(j);
    char *text = read_bytes(journal_path(j), &size);
    snprintf(path, sizeof path, "%s", journal_path(other));
    journal_close(other);
    write_bytes(path, text, size);
    other = journal_open("elsewhere", TARGET, &e);
    assert_non_null(other);
    assert_null(journal_find(other, NAME));
    assert_false(journal_adopt(other, text, size, &e));
    assert_int_equal(e.kind, ERR_CORRUPT);
    assert_string_equal(e.text, "not the journal of this copy");
    free(text);
    assert_true(journal_remove(j, &e) && journal_remove(other, &e));
}

static void no_place_to_write_is_said(void **state)
{
    (void)state;
    struct err e = {0};
    char *xdg = strdup(getenv("XDG_STATE_HOME")), *home = getenv("HOME") ? strdup(getenv("HOME")) : NULL;
    setenv("XDG_STATE_HOME", "relative", 1);
    unsetenv("HOME");
    assert_null(journal_open(SOURCE, TARGET, &e));
    assert_int_equal(e.kind, ERR_USAGE);
    assert_non_null(strstr(e.text, "set HOME or XDG_STATE_HOME"));
    setenv("HOME", "/dev/null", 1);
    assert_null(journal_open(SOURCE, TARGET, &e));
    assert_int_equal(e.kind, ERR_IO);
    setenv("XDG_STATE_HOME", xdg, 1);
    if (home)
        setenv("HOME", home, 1);
    free(xdg);
    free(home);
}

/* As a full disk does: the line is cut in its middle, taken back, and what comes later is whole. */
static void a_full_disk_fails_and_leaves_whole_lines(void **state)
{
    (void)state;
    struct err e = {0};
    size_t size, after;
    struct journal *j = open_it();
    begin(j);
    free(read_bytes(journal_path(j), &size));
    struct rlimit before, tight = {size + 20, RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    tight.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    char midstate[SHA256_STATE_TEXT];
    state_after(1, midstate);
    bool ok = journal_part(j, NAME, 0, ranges, 2, midstate, &e);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_false(ok);
    assert_int_equal(e.kind, ERR_IO);
    free(read_bytes(journal_path(j), &after));
    assert_int_equal(size, after);
    part(j, 1);
    journal_close(j);
    j = open_it();
    assert_true(journal_find(j, NAME)->parts[1].there);
    assert_true(journal_remove(j, &e));
}

/* --- the copy for other machines --- */

static char *text_of(struct journal *j, size_t *size)
{
    struct err e = {0};
    char *text = journal_text(j, size, &e);
    if (!text)
        fail_msg("%s", e.text);
    return text;
}

static void another_machine_takes_over(void **state)
{
    (void)state;
    struct err e = {0};
    size_t size;
    struct journal *j = open_it();
    begin(j);
    part(j, 0);
    char *text = text_of(j, &size);
    assert_true(journal_remove(j, &e));
    j = open_it();
    assert_true(journal_adopt(j, text, size, &e));
    assert_true(journal_find(j, NAME)->parts[0].there);
    assert_string_equal(journal_find(j, NAME)->start.upload_token, "id 7");
    part(j, 1);
    assert_true(journal_adopt(j, text, size, &e)); /* ours knows more by now */
    assert_true(journal_find(j, NAME)->parts[1].there);
    free(text);

    seal(j);
    assert_true(journal_done(j, NAME, 9, &e));
    text = text_of(j, &size);
    assert_true(journal_remove(j, &e));
    j = open_it();
    begin(j);
    part(j, 0);
    assert_true(journal_adopt(j, text, size, &e));
    assert_true(journal_find(j, NAME)->done);
    journal_close(j);
    j = open_it(); /* and it is written down */
    assert_true(journal_find(j, NAME)->done);
    free(text);
    assert_true(journal_remove(j, &e));
}

static void secrets_do_not_leave_the_machine(void **state)
{
    (void)state;
    struct err e = {0};
    size_t size;
    struct journal *j = open_it();
    struct journal_start secret = start;
    secret.upload_token = "https://session/very-secret";
    secret.token_is_secret = true;
    assert_true(journal_begin(j, &secret, &e));
    part(j, 0);
    char *text = text_of(j, &size);
    assert_null(memmem(text, size, "very-secret", 11));
    assert_null(memmem(text, size, "begin", 5)); /* nobody else can go on with it */
    free(text);
    seal(j);
    text = text_of(j, &size);
    assert_null(memmem(text, size, "very-secret", 11));
    assert_non_null(memmem(text, size, "seal", 4)); /* but they can see that it is there */
    free(text);
    assert_true(journal_remove(j, &e));
}

static void twenty_thousand_files_are_quick_to_find(void **state)
{
    (void)state;
    struct err e = {0};
    struct journal *j = open_it();
    char name[64];
    for (int i = 0; i < 20000; i++) {
        snprintf(name, sizeof name, "folder/file-%d", i);
        struct journal_start s = {
            .name = name, .identity = "git:1", .upload_token = "", .part_bytes = 64, .range_bytes = 64};
        assert_true(journal_begin(j, &s, &e) &&
                    journal_sealing(j, name, &(struct journal_seal){0, "", NULL, 0}, &e) &&
                    journal_done(j, name, i, &e));
    }
    journal_close(j);
    j = open_it();
    for (int i = 0; i < 20000; i++) {
        snprintf(name, sizeof name, "folder/file-%d", i);
        assert_int_equal(journal_find(j, name)->generation, i);
    }
    assert_true(journal_remove(j, &e));
}

static struct scratch scratch;

static int make(void **state)
{
    (void)state;
    scratch_make(&scratch);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    int left = scratch_count(&scratch, "state"); /* every test removed its journals */
    scratch_remove(&scratch);
    return left;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(file_in_one_piece_is_known_to_the_next_run),
        cmocka_unit_test(what_was_written_is_known_to_the_next_run),
        cmocka_unit_test(a_new_beginning_forgets_the_parts),
        cmocka_unit_test(a_part_stored_again_takes_back_the_seal),
        cmocka_unit_test(cut_at_every_byte_the_whole_lines_count),
        cmocka_unit_test(a_changed_byte_ends_what_counts),
        cmocka_unit_test(lines_that_make_no_sense_are_refused),
        cmocka_unit_test(what_cannot_be_read_again_is_not_written),
        cmocka_unit_test(another_process_is_told_who_has_it),
        cmocka_unit_test(other_pairs_have_other_journals),
        cmocka_unit_test(text_of_a_journal_says_what_the_journal_does),
        cmocka_unit_test(somebody_elses_lines_do_not_count),
        cmocka_unit_test(no_place_to_write_is_said),
        cmocka_unit_test(a_full_disk_fails_and_leaves_whole_lines),
        cmocka_unit_test(another_machine_takes_over),
        cmocka_unit_test(secrets_do_not_leave_the_machine),
        cmocka_unit_test(twenty_thousand_files_are_quick_to_find),
    };
    return cmocka_run_group_tests(tests, make, clean);
}
