/* elf.h: what the loader reads of a program or a library (System V ABI, chapters 4 and 5; 64-bit, x86-64).
 *
 * Only program headers and what they point to are looked at, as the loader does: section headers may be gone.
 * The bytes come from outside, each offset is checked. Stateless. */
#ifndef FERRY_TARGET_ELF_ELF_H
#define FERRY_TARGET_ELF_ELF_H

#include "base/arena.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Strings in the arena; what a file does not say is NULL. */
struct elf {
    const char *interpreter;     /* the loader it asks for: "/lib64/ld-linux-x86-64.so.2" */
    const char *rpath, *runpath; /* folders separated by ":", as they stand there */
    const char **needed;         /* DT_NEEDED, in its order */
    int needed_count;
    size_t end; /* bytes of the file that are loaded, headers included: nothing needs what follows */
};

/* False with *e set: ERR_CORRUPT (no ELF, or one that contradicts itself), ERR_UNSUPPORTED (for another
 * machine, or neither program nor library). */
bool elf_read(struct elf *out, const void *bytes, size_t size, struct arena *a, struct err *e);

/* The note of that owner and type into *text (in bytes, not NUL-terminated). False: there is none, or it is
 * no ELF file. */
bool elf_note(const void *bytes, size_t size, const char *owner, uint32_t type, const char **text,
              size_t *text_size);

/* Makes bytes[0..end) of an elf_read file a file of its own: its header no longer points to sections, which
 * lay behind. Symbols and debug information are gone; what runs is the same. */
void elf_forget_sections(void *bytes);

#endif
