/* What the loader reads of a program, and a program cut down to it. */
#include "folder.h"
#include "target/build_note.h"
#include "target/elf/elf.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { ARENA_BYTES = 8 << 20 };

/* The smallest file with all that is read: an interpreter, a dynamic segment, its strings, a note. */
struct tiny {
    Elf64_Ehdr header;
    Elf64_Phdr segments[4]; /* the whole loaded at 0x10000, interpreter, dynamic, note */
    Elf64_Dyn dynamic[7];
    char interpreter[16];
    char strings[64];
    struct {
        Elf64_Nhdr head;
        char owner[8], text[8];
    } note;
    char symbols[32]; /* not loaded */
};

#define AT(field) offsetof(struct tiny, field)

static const struct tiny sound = {
    .header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
               .e_type = ET_DYN,
               .e_machine = EM_X86_64,
               .e_phoff = AT(segments),
               .e_phentsize = sizeof(Elf64_Phdr),
               .e_phnum = 4,
               .e_shoff = AT(symbols),
               .e_shnum = 1,
               .e_shstrndx = 1},
    .segments = {{.p_type = PT_LOAD, .p_vaddr = 0x10000, .p_filesz = AT(symbols)},
                 {.p_type = PT_INTERP, .p_offset = AT(interpreter), .p_filesz = 16},
                 {.p_type = PT_DYNAMIC, .p_offset = AT(dynamic), .p_filesz = 7 * sizeof(Elf64_Dyn)},
                 {.p_type = PT_NOTE, .p_offset = AT(note), .p_filesz = 28, .p_align = 4}},
    .dynamic = {{DT_NEEDED, {1}},
                {DT_STRTAB, {0x10000 + AT(strings)}},
                {DT_STRSZ, {64}},
                {DT_NEEDED, {8}},
                {DT_RUNPATH, {20}},
                {DT_RPATH, {30}},
                {DT_NULL, {0}}},
    .interpreter = "/lib64/ld.so.2",
    .strings = "\0libc.6\0libcurl.4\0\0\0$ORIGIN/a\0/b:/c",
    .note = {{sizeof "Ferry", 3, 1}, "Ferry", "{}"},
};

static bool read_tiny(const struct tiny *t, size_t size, struct elf *out, struct err *e)
{
    struct arena *a = arena_new(ARENA_BYTES);
    void *exact = malloc(size ? size : 1); /* so that a sanitizer sees a step past the end */
    memcpy(exact, t, size);
    bool ok = elf_read(out, exact, size, a, e);
    free(exact);
    arena_free(a);
    return ok;
}

static void all_that_the_loader_reads_is_read(void **state)
{
    struct arena *a = arena_new(ARENA_BYTES);
    struct elf elf;
    struct err e = {0};
    (void)state;
    assert_true(elf_read(&elf, &sound, sizeof sound, a, &e));
    assert_string_equal(elf.interpreter, "/lib64/ld.so.2");
    assert_int_equal(elf.needed_count, 2);
    assert_string_equal(elf.needed[0], "libc.6");
    assert_string_equal(elf.needed[1], "libcurl.4");
    assert_string_equal(elf.runpath, "$ORIGIN/a");
    assert_string_equal(elf.rpath, "/b:/c");
    assert_int_equal(elf.end, AT(symbols));
    arena_free(a);
}

static void file_that_contradicts_itself_is_refused(void **state)
{
    static const struct {
        size_t at, size;
        uint64_t value;
        enum err_kind kind;
        const char *says;
    } cases[] = {
        {0, 1, 'M', ERR_CORRUPT, "not an ELF file"},
        {EI_CLASS, 1, ELFCLASS32, ERR_UNSUPPORTED, "for another machine than x86-64"},
        {EI_DATA, 1, ELFDATA2MSB, ERR_UNSUPPORTED, "another machine"},
        {AT(header.e_machine), 2, EM_AARCH64, ERR_UNSUPPORTED, "another machine"},
        {AT(header.e_type), 2, ET_REL, ERR_UNSUPPORTED, "neither a program nor a shared library"},
        {AT(header.e_type), 2, ET_CORE, ERR_UNSUPPORTED, "neither a program nor a shared library"},
        {AT(header.e_phentsize), 2, 32, ERR_CORRUPT, "program headers lie outside"},
        {AT(header.e_phnum), 2, 9, ERR_CORRUPT, "outside"},
        {AT(header.e_phnum), 2, 0xffff, ERR_CORRUPT, "program headers lie outside"},
        {AT(header.e_phoff), 8, UINT64_MAX - 8, ERR_CORRUPT, "program headers lie outside"},
        {AT(segments[0].p_filesz), 8, sizeof(struct tiny) + 1, ERR_CORRUPT, "a segment lies outside"},
        {AT(segments[0].p_offset), 8, UINT64_MAX, ERR_CORRUPT, "a segment lies outside"},
        {AT(segments[1].p_filesz), 8, 5, ERR_CORRUPT, "a string lies outside"},
        {AT(segments[1].p_filesz), 8, 0, ERR_CORRUPT, "a string lies outside"},
        {AT(segments[2].p_offset), 8, sizeof(struct tiny), ERR_CORRUPT, "a segment lies outside"},
        {AT(dynamic[0].d_un), 8, 64, ERR_CORRUPT, "a string lies outside"},
        {AT(dynamic[0].d_un), 8, UINT64_MAX, ERR_CORRUPT, "a string lies outside"},
        {AT(dynamic[1].d_un), 8, 0x10000 + AT(symbols), ERR_CORRUPT, "an address is not loaded"},
        {AT(dynamic[1].d_un), 8, 0xffff, ERR_CORRUPT, "an address is not loaded"},
        {AT(dynamic[2].d_un), 8, sizeof(struct tiny), ERR_CORRUPT, "table of strings lies outside"},
        {AT(dynamic[2].d_un), 8, UINT64_MAX, ERR_CORRUPT, "table of strings lies outside"},
        {AT(dynamic[2].d_un), 8, 35, ERR_CORRUPT, "a string lies outside"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tiny t = sound;
        struct elf elf;
        struct err e = {0};
        memcpy((char *)&t + cases[i].at, &cases[i].value, cases[i].size);
        if (read_tiny(&t, sizeof t, &elf, &e) || e.kind != cases[i].kind || !strstr(e.text, cases[i].says))
            fail_msg("case %zu: kind %d, \"%s\" does not say \"%s\"", i, e.kind, e.text, cases[i].says);
    }
}

static void file_cut_anywhere_is_refused(void **state)
{
    (void)state;
    for (size_t size = 0; size < AT(symbols); size++) {
        struct elf elf;
        struct err e = {0};
        assert_false(read_tiny(&sound, size, &elf, &e));
        assert_int_equal(e.kind, ERR_CORRUPT);
    }
}

static void static_program_needs_nothing(void **state)
{
    struct tiny t = sound;
    struct elf elf;
    struct err e = {0};
    (void)state;
    t.header.e_phnum = 1;
    assert_true(read_tiny(&t, sizeof t, &elf, &e));
    assert_null(elf.interpreter);
    assert_int_equal(elf.needed_count, 0);
}

static void note_is_found_by_owner_and_type(void **state)
{
    struct tiny t = sound;
    const char *text;
    size_t size;
    (void)state;
    assert_true(elf_note(&t, sizeof t, "Ferry", 1, &text, &size));
    assert_int_equal(size, 3);
    assert_string_equal(text, "{}");
    assert_false(elf_note(&t, sizeof t, "Ferry", 2, &text, &size));
    assert_false(elf_note(&t, sizeof t, "GNU", 1, &text, &size));
    assert_false(elf_note(&t, sizeof t, "Ferr", 1, &text, &size));
    for (uint32_t wrong = 0; wrong < 3; wrong++) { /* longer than the segment, than the file, than all */
        static const uint32_t sizes[] = {9, 10000, UINT32_MAX};
        t.note.head.n_descsz = sizes[wrong];
        assert_false(elf_note(&t, sizeof t, "Ferry", 1, &text, &size));
        t.note.head.n_descsz = 3;
        t.note.head.n_namesz = sizes[wrong];
        assert_false(elf_note(&t, sizeof t, "Ferry", 1, &text, &size));
        t.note.head.n_namesz = sizeof "Ferry";
    }
}

static void program_without_its_sections_runs_the_same(void **state)
{
    char folder[FOLDER_PATH];
    struct arena *a = arena_new(ARENA_BYTES);
    struct elf elf, again;
    struct err e = {0};
    size_t size;
    char *bytes = folder_read(SAMPLE "/sample_rpath", &size);
    (void)state;
    folder_make(folder);
    assert_true(elf_read(&elf, bytes, size, a, &e));
    assert_true(elf.end < size);
    elf_forget_sections(bytes);
    assert_true(elf_read(&again, bytes, elf.end, a, &e));
    assert_int_equal(again.needed_count, elf.needed_count);
    const char *cut = folder_path(folder, "cut");
    folder_write(cut, bytes, elf.end);
    assert_int_equal(chmod(cut, 0755), 0);
    assert_int_equal(folder_shell(NULL, 0, "LD_LIBRARY_PATH=%s/chain:%s/deep %s", SAMPLE, SAMPLE, cut), 42);
    assert_int_equal(folder_shell(NULL, 0, "readelf -S %s | grep -q 'There are no sections'", cut), 0);
    free(bytes);
    arena_free(a);
    folder_remove(folder);
}

static void ferry_says_who_it_is(void **state)
{
    struct arena *a = arena_new(ARENA_BYTES);
    struct build_note note;
    struct err e = {0};
    size_t size;
    char version[100];
    char *bytes = folder_read(FERRY, &size);
    (void)state;
    assert_true(build_note_read(&note, bytes, size, a, &e));
    assert_int_equal(folder_shell(version, sizeof version, "%s --version", FERRY), 0);
    assert_int_equal(strncmp(version, "ferry ", 6), 0);
    version[strcspn(version, "\n")] = 0;
    assert_string_equal(note.version, version + 6);
    assert_true(strlen(note.revision) == 0 || strlen(note.revision) >= 40);
    free(bytes);
    bytes = folder_read(SAMPLE "/sample_rpath", &size);
    assert_false(build_note_read(&note, bytes, size, a, &e));
    assert_string_equal(e.text, "not a ferry program, or one from before images");
    free(bytes);
    arena_free(a);
}

static void note_that_is_not_ours_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"version\":\"1\",\"revision\":\"\",\"source\":\"\"}",
        "{\"version\":\"\",\"revision\":\"\",\"source\":\"\",\"date\":1}",
        "{\"version\":\"1\",\"revision\":\"\",\"source\":\"\",\"date\":-1}",
        "{\"version\":\"1\",\"revision\":\"\",\"source\":\"\",\"date\":\"1\"}",
        "{\"version\":1,\"revision\":\"\",\"source\":\"\",\"date\":1}",
        "{\"version\":\"1\\n2\",\"revision\":\"\",\"source\":\"\",\"date\":1}",
    };
    struct arena *a = arena_new(ARENA_BYTES);
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct {
            struct tiny t;
            char more[200];
        } file = {.t = sound};
        struct build_note note;
        struct err e = {0};
        size_t at = AT(note.text), size = strlen(texts[i]);
        memcpy((char *)&file + at, texts[i], size);
        file.t.note.head.n_descsz = (uint32_t)size;
        file.t.segments[3].p_filesz = at + size - AT(note);
        assert_false(build_note_read(&note, &file, sizeof file, a, &e));
        assert_int_equal(e.kind, ERR_CORRUPT);
        assert_non_null(strstr(e.text, "cannot be read"));
    }
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_the_loader_reads_is_read),
        cmocka_unit_test(file_that_contradicts_itself_is_refused),
        cmocka_unit_test(file_cut_anywhere_is_refused),
        cmocka_unit_test(static_program_needs_nothing),
        cmocka_unit_test(note_is_found_by_owner_and_type),
        cmocka_unit_test(program_without_its_sections_runs_the_same),
        cmocka_unit_test(ferry_says_who_it_is),
        cmocka_unit_test(note_that_is_not_ours_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
