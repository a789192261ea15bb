#include "target/elf/elf.h"

#include <elf.h>
#include <string.h>

enum { MOST_NEEDED = 4096, MOST_HEADERS = 4096 };

/* A file being read. */
struct view {
    const unsigned char *bytes;
    size_t size;
    Elf64_Ehdr header;
    struct err *e;
};

static bool corrupt(const struct view *v, const char *what)
{
    return err_set(v->e, ERR_CORRUPT, "not a sound ELF file: %s", what);
}

static bool inside(const struct view *v, uint64_t offset, uint64_t size)
{
    return offset <= v->size && size <= v->size - offset;
}

/* A structure of the file's, which need not be aligned there. */
static bool take(const struct view *v, uint64_t offset, void *out, size_t size)
{
    if (!inside(v, offset, size))
        return false;
    memcpy(out, v->bytes + offset, size);
    return true;
}

static bool check_header(const struct view *v)
{
    const Elf64_Ehdr *h = &v->header;
    if (h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_ident[EI_DATA] != ELFDATA2LSB || h->e_machine != EM_X86_64)
        return err_set(v->e, ERR_UNSUPPORTED, "for another machine than x86-64");
    if (h->e_type != ET_EXEC && h->e_type != ET_DYN)
        return err_set(v->e, ERR_UNSUPPORTED, "neither a program nor a shared library");
    if (h->e_phentsize != sizeof(Elf64_Phdr) || h->e_phnum > MOST_HEADERS ||
        !inside(v, h->e_phoff, (uint64_t)h->e_phnum * sizeof(Elf64_Phdr)))
        return corrupt(v, "its program headers lie outside");
    return true;
}

static bool open_view(struct view *v, const void *bytes, size_t size, struct err *e)
{
    *v = (struct view){.bytes = bytes, .size = size, .e = e};
    if (size < SELFMAG || memcmp(bytes, ELFMAG, SELFMAG) != 0)
        return err_set(e, ERR_CORRUPT, "not an ELF file");
    if (!take(v, 0, &v->header, sizeof v->header))
        return corrupt(v, "it ends in its header");
    return check_header(v);
}

/* The i-th program header, whose bytes in the file are there. */
static bool take_segment(const struct view *v, int i, Elf64_Phdr *p)
{
    if (!take(v, v->header.e_phoff + (uint64_t)i * sizeof *p, p, sizeof *p))
        return corrupt(v, "its program headers lie outside");
    return inside(v, p->p_offset, p->p_filesz) || corrupt(v, "a segment lies outside");
}

/* The first segment of a type; *found says whether there is one. */
static bool find_segment(const struct view *v, uint32_t type, Elf64_Phdr *p, bool *found)
{
    *found = false;
    for (int i = 0; i < v->header.e_phnum && !*found; i++) {
        if (!take_segment(v, i, p))
            return false;
        *found = p->p_type == type;
    }
    return true;
}

static bool measure(const struct view *v, struct elf *out)
{
    Elf64_Phdr p;
    out->end = v->header.e_phoff + (uint64_t)v->header.e_phnum * sizeof p;
    if (out->end < sizeof v->header)
        out->end = sizeof v->header;
    for (int i = 0; i < v->header.e_phnum; i++) {
        if (!take_segment(v, i, &p))
            return false;
        if (p.p_offset + p.p_filesz > out->end)
            out->end = p.p_offset + p.p_filesz;
    }
    return true;
}

/* A string that begins at offset and ends before `end`, copied. */
static bool take_string(const struct view *v, uint64_t offset, uint64_t end, struct arena *a,
                        const char **out)
{
    const unsigned char *nul = offset < end ? memchr(v->bytes + offset, 0, end - offset) : NULL;
    if (!nul)
        return corrupt(v, "a string lies outside");
    *out = arena_strndup(a, (const char *)v->bytes + offset, (size_t)(nul - v->bytes) - offset);
    return *out || err_set(v->e, ERR_MEMORY, "no memory for the strings of an ELF file");
}

static bool read_interpreter(const struct view *v, struct elf *out, struct arena *a)
{
    Elf64_Phdr p;
    bool found;
    if (!find_segment(v, PT_INTERP, &p, &found) || !found)
        return !found;
    return take_string(v, p.p_offset, p.p_offset + p.p_filesz, a, &out->interpreter);
}

/* --- the dynamic section --- */

/* Where its strings lie in the file. */
struct strings {
    uint64_t begin, end;
};

/* Where what is loaded at an address comes from. */
static bool file_offset(const struct view *v, uint64_t address, uint64_t *offset)
{
    Elf64_Phdr p;
    for (int i = 0; i < v->header.e_phnum; i++) {
        if (!take_segment(v, i, &p))
            return false;
        if (p.p_type == PT_LOAD && address >= p.p_vaddr && address - p.p_vaddr < p.p_filesz) {
            *offset = p.p_offset + (address - p.p_vaddr);
            return true;
        }
    }
    return corrupt(v, "an address is not loaded");
}

/* The i-th entry of the dynamic segment; false behind its last. */
static bool take_entry(const struct view *v, const Elf64_Phdr *p, uint64_t i, Elf64_Dyn *d)
{
    return i < p->p_filesz / sizeof *d && take(v, p->p_offset + i * sizeof *d, d, sizeof *d) &&
           d->d_tag != DT_NULL;
}

static bool find_strings(const struct view *v, const Elf64_Phdr *p, struct strings *s)
{
    Elf64_Dyn d;
    uint64_t address = 0, size = 0, last;
    *s = (struct strings){0};
    for (uint64_t i = 0; take_entry(v, p, i, &d); i++) {
        if (d.d_tag == DT_STRTAB)
            address = d.d_un.d_ptr;
        if (d.d_tag == DT_STRSZ)
            size = d.d_un.d_val;
    }
    if (size == 0)
        return true;
    if (!file_offset(v, address, &s->begin))
        return false;
    s->end = s->begin + size;
    return (inside(v, s->begin, size) && file_offset(v, address + size - 1, &last) && last == s->end - 1) ||
           corrupt(v, "its table of strings lies outside");
}

static bool make_room(const struct view *v, const Elf64_Phdr *p, struct elf *out, struct arena *a)
{
    Elf64_Dyn d;
    size_t count = 0;
    for (uint64_t i = 0; take_entry(v, p, i, &d); i++)
        count += d.d_tag == DT_NEEDED;
    if (count > MOST_NEEDED)
        return corrupt(v, "it needs thousands of libraries");
    out->needed = arena_alloc(a, count, sizeof *out->needed);
    return out->needed || err_set(v->e, ERR_MEMORY, "no memory for the strings of an ELF file");
}

static bool read_entry(const struct view *v, const struct strings *s, const Elf64_Dyn *d, struct elf *out,
                       struct arena *a)
{
    const char **into = d->d_tag == DT_NEEDED    ? &out->needed[out->needed_count]
                        : d->d_tag == DT_RPATH   ? &out->rpath
                        : d->d_tag == DT_RUNPATH ? &out->runpath
                                                 : NULL;
    if (!into)
        return true;
    if (d->d_un.d_val >= s->end - s->begin)
        return corrupt(v, "a string lies outside");
    if (!take_string(v, s->begin + d->d_un.d_val, s->end, a, into))
        return false;
    out->needed_count += d->d_tag == DT_NEEDED;
    return true;
}

static bool read_dynamic(const struct view *v, struct elf *out, struct arena *a)
{
    Elf64_Phdr p;
    Elf64_Dyn d;
    struct strings s;
    bool found;

    if (!find_segment(v, PT_DYNAMIC, &p, &found) || !found)
        return !found; /* a static program */
    if (!find_strings(v, &p, &s) || !make_room(v, &p, out, a))
        return false;
    for (uint64_t i = 0; take_entry(v, &p, i, &d); i++) {
        if (!read_entry(v, &s, &d, out, a))
            return false;
    }
    return true;
}

bool elf_read(struct elf *out, const void *bytes, size_t size, struct arena *a, struct err *e)
{
    struct view v;
    *out = (struct elf){0};
    return open_view(&v, bytes, size, e) && measure(&v, out) && read_interpreter(&v, out, a) &&
           read_dynamic(&v, out, a);
}

/* --- notes --- */

static uint64_t round_up(uint64_t n, uint64_t align)
{
    return (n + align - 1) / align * align;
}

/* The note at *offset, which moves behind it; false when none begins there. */
static bool take_note(const struct view *v, uint64_t *offset, uint64_t end, uint64_t align, Elf64_Nhdr *n,
                      uint64_t *text)
{
    uint64_t name = *offset + sizeof *n;
    if (end - *offset < sizeof *n || !take(v, *offset, n, sizeof *n))
        return false;
    *text = round_up(name + n->n_namesz, align);
    uint64_t behind = *text + n->n_descsz;
    if (behind > end)
        return false;
    *offset = round_up(behind, align);
    if (*offset > end)
        *offset = end;
    return true;
}

static bool find_in(const struct view *v, const Elf64_Phdr *p, const char *owner, uint32_t type,
                    const char **text, size_t *text_size)
{
    size_t owner_size = strlen(owner) + 1;
    uint64_t align = p->p_align == 8 ? 8 : 4, offset = p->p_offset, end = p->p_offset + p->p_filesz, at;
    Elf64_Nhdr n;
    for (uint64_t begin = offset; take_note(v, &offset, end, align, &n, &at); begin = offset) {
        if (n.n_type != type || n.n_namesz != owner_size ||
            memcmp(v->bytes + begin + sizeof n, owner, owner_size) != 0)
            continue;
        *text = (const char *)v->bytes + at;
        *text_size = n.n_descsz;
        return true;
    }
    return false;
}

bool elf_note(const void *bytes, size_t size, const char *owner, uint32_t type, const char **text,
              size_t *text_size)
{
    struct view v;
    Elf64_Phdr p;
    if (!open_view(&v, bytes, size, NULL))
        return false;
    for (int i = 0; i < v.header.e_phnum && take_segment(&v, i, &p); i++) {
        if (p.p_type == PT_NOTE && find_in(&v, &p, owner, type, text, text_size))
            return true;
    }
    return false;
}

void elf_forget_sections(void *bytes)
{
    Elf64_Ehdr h;
    memcpy(&h, bytes, sizeof h);
    h.e_shoff = 0;
    h.e_shnum = h.e_shstrndx = SHN_UNDEF;
    memcpy(bytes, &h, sizeof h);
}
