#include "target/image/root.h"

#include "base/file.h"

#include <string.h>

/* Where systems keep their CA certificates in one PEM file. */
static const char *const bundles[] = {
    "/etc/ssl/certs/ca-certificates.crt", /* Debian, Arch, Gentoo */
    "/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora and its kin */
    "/etc/ssl/ca-bundle.pem",             /* SUSE */
};

/* Who there is, for the few calls that ask (getpwuid), and how names are resolved: what a table says, then
 * DNS. Both ways of looking up are inside libc since 2.34. */
static const struct {
    const char *path, *text;
} etc[] = {
    {"etc/passwd", "root:x:0:0:root:/:/sbin/nologin\n"
                   "ferry:x:65532:65532:ferry:/tmp:/sbin/nologin\n"},
    {"etc/group", "root:x:0:\nferry:x:65532:\n"},
    {"etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"},
};

static bool add_path(struct layer *l, const char *folder, const char *name, unsigned mode, const char *source,
                     struct err *e)
{
    char *path = arena_printf(l->arena, "%s/%s", folder + (*folder == '/'), name);
    if (!path)
        return err_set(e, ERR_MEMORY, "no memory for the files of an image");
    return layer_add(l, &(struct layer_file){.path = path, .mode = mode, .source = source}, e);
}

/* The folder of the C library: one of those that its loader looks into whatever a table says. */
static const char *library_folder(const struct libraries *found, struct arena *a)
{
    for (int i = 0; i < found->count; i++) {
        if (strcmp(found->items[i].name, "libc.so.6") == 0)
            return arena_strndup(a, found->items[i].path,
                                 (size_t)(strrchr(found->items[i].path, '/') - found->items[i].path));
    }
    return "/lib";
}

static bool add_loader(struct layer *l, const char *interpreter, struct err *e)
{
    if (*interpreter != '/' || strstr(interpreter, "/.."))
        return err_set(e, ERR_UNSUPPORTED, "the program asks for a loader at %s, which is no plain path",
                       interpreter);
    return layer_add(l, &(struct layer_file){.path = interpreter + 1, .mode = 0755, .source = interpreter},
                     e);
}

static bool add_found(struct layer *l, const struct libraries *found, struct err *e)
{
    const char *folder = library_folder(found, l->arena);
    if (!folder)
        return err_set(e, ERR_MEMORY, "no memory for the files of an image");
    for (int i = 0; i < found->count; i++) {
        if (!add_path(l, folder, found->items[i].name, 0644, found->items[i].path, e))
            return false;
    }
    return !found->interpreter || add_loader(l, found->interpreter, e);
}

static bool add_certificates(struct layer *l, const char *file, struct err *e)
{
    for (size_t i = 0; !file && i < sizeof bundles / sizeof *bundles; i++)
        file = file_exists(bundles[i]) ? bundles[i] : NULL;
    if (!file)
        return err_set(e, ERR_NOT_FOUND,
                       "no CA certificates on this machine, and without them nothing is reached over TLS; "
                       "install ca-certificates, or name a PEM file with --certificates");
    return layer_add(l, &(struct layer_file){.path = ROOT_CERTIFICATES, .mode = 0644, .source = file}, e);
}

static bool add_etc(struct layer *l, struct err *e)
{
    for (size_t i = 0; i < sizeof etc / sizeof *etc; i++) {
        struct layer_file f = {
            .path = etc[i].path, .mode = 0644, .bytes = etc[i].text, .size = strlen(etc[i].text)};
        if (!layer_add(l, &f, e))
            return false;
    }
    return true;
}

bool root_add_libraries(struct layer *l, const struct libraries *found, const char *certificates,
                        struct err *e)
{
    /* for all to write to, each to delete only his own */
    return add_found(l, found, e) && add_certificates(l, certificates, e) && add_etc(l, e) &&
           layer_add(l, &(struct layer_file){.path = "tmp", .mode = 01777, .folder = true}, e);
}

bool root_add_program(struct layer *l, const void *bytes, size_t size, struct err *e)
{
    return layer_add(
        l, &(struct layer_file){.path = ROOT_PROGRAM, .mode = 0755, .bytes = bytes, .size = size}, e);
}
