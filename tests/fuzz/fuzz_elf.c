/* A program, as image reads it: its libraries, its note, what is loaded of it. What is cut down is read as
 * the whole was. */
#include "target/build_note.h"
#include "target/elf/elf.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* Without sections, cut where nothing is loaded any more: no difference. */
static void check_cut(const uint8_t *data, size_t size, struct arena *a)
{
    struct elf whole, cut;
    char *bytes = malloc(size);
    check(bytes != NULL);
    memcpy(bytes, data, size);
    elf_forget_sections(bytes);
    if (elf_read(&whole, bytes, size, a, NULL)) {
        char *exact = realloc(bytes, whole.end);
        check(exact && elf_read(&cut, exact, whole.end, a, NULL) && cut.end == whole.end);
        check(cut.needed_count == whole.needed_count && !cut.interpreter == !whole.interpreter);
        bytes = exact;
    }
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(64 << 20);
    struct build_note note;
    struct elf elf;
    struct err e = {0}, f = {0};
    if (elf_read(&elf, data, size, a, &e)) {
        check(elf.end <= size && elf.end >= 64);
        for (int i = 0; i < elf.needed_count; i++)
            check(strlen(elf.needed[i]) < size);
        check_cut(data, size, a);
    } else {
        check(e.kind != ERR_NONE && e.text[0]);
    }
    if (build_note_read(&note, data, size, a, &f))
        check(note.version[0] && !strchr(note.version, '\n') && note.date >= 0);
    else
        check(f.kind == ERR_CORRUPT);
    arena_free(a);
    return 0;
}
