#include "target/reference.h"

#include "net/url.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_REPOSITORY = 255, MOST_TAG = 128 };

static bool is_lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* One part of a repository's name: letters and digits with ".", "_", "__" or dashes between. */
static bool is_component(const char *p, size_t size)
{
    size_t i = 0;
    while (i < size && is_lower_or_digit(p[i])) {
        while (i < size && is_lower_or_digit(p[i]))
            i++;
        if (i == size)
            return true;
        size_t begin = i;
        while (i < size && p[i] == p[begin] && strchr("._-", p[i]))
            i++;
        size_t most = p[begin] == '.' ? 1 : p[begin] == '_' ? 2 : size;
        if (i == begin || i - begin > most)
            return false;
    }
    return false;
}

bool reference_is_repository(const char *text)
{
    if (strlen(text) > MOST_REPOSITORY)
        return false;
    for (;;) {
        size_t size = strcspn(text, "/");
        if (!is_component(text, size))
            return false;
        if (!text[size])
            return true;
        text += size + 1;
    }
}

bool reference_is_tag(const char *text)
{
    static const char more[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    size_t size = strlen(text);
    return size > 0 && size <= MOST_TAG && strspn(text, more) == size && *text != '.' && *text != '-';
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* --- the registry --- */

static bool is_registry(const char *text, size_t size)
{
    return memchr(text, '.', size) || memchr(text, ':', size) ||
           (size == 9 && memcmp(text, "localhost", 9) == 0);
}

bool reference_is_loopback(const char *host)
{
    if (strncmp(host, "[::1]", 5) == 0)
        return !host[5] || host[5] == ':';
    size_t size = strcspn(host, ":");
    bool number = strspn(host, "0123456789.") == size; /* 127.example.com is somebody else */
    return (size == 9 && strncmp(host, "localhost", 9) == 0) || (number && strncmp(host, "127.", 4) == 0);
}

static bool is_hub(const char *registry)
{
    static const char *const names[] = {"docker.io", "index.docker.io", "registry-1.docker.io",
                                        "hub.docker.com"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(registry, names[i]) == 0)
            return true;
    }
    return false;
}

/* FERRY_ENDPOINT_REGISTRY stands in for the registry (an emulator, a mirror), as such variables do for the
 * other services; names and logins stay. */
static bool find_endpoint(struct reference *r, struct arena *a, struct err *e)
{
    const char *override = getenv("FERRY_ENDPOINT_REGISTRY"), *host = r->registry;
    char origin[URL_ORIGIN_BYTES];
    bool overridden = override && *override;
    if (is_hub(r->registry)) {
        r->registry = "docker.io";
        host = "registry-1.docker.io";
    }
    char *url = arena_printf(a, "%s://%s", reference_is_loopback(host) ? "http" : "https", host);
    if (!url)
        return err_set(e, ERR_MEMORY, "no memory");
    if (!url_origin(overridden ? override : url, origin, sizeof origin) || strpbrk(host, "/?#@"))
        return err_set(e, ERR_USAGE, "%.200s: not the name of a registry, HOST[:PORT]",
                       overridden ? override : host);
    r->endpoint = arena_strndup(a, origin, strlen(origin));
    return r->endpoint || err_set(e, ERR_MEMORY, "no memory");
}

static bool is_google(const char *registry)
{
    return ends_with(registry, ".pkg.dev") || ends_with(registry, ".gcr.io") ||
           strcmp(registry, "gcr.io") == 0;
}

/* --- the whole --- */

static int parts_of(const char *repository)
{
    int parts = 1;
    for (const char *p = repository; *p; p++)
        parts += *p == '/';
    return parts;
}

/* What each registry's own layout of names asks for. */
static bool check_layout(const struct reference *r, struct err *e)
{
    int parts = parts_of(r->repository);
    if (ends_with(r->registry, ".pkg.dev") && parts < 3)
        return err_set(e, ERR_USAGE, "%s/%s: expected %s/PROJECT/REPOSITORY/IMAGE", r->registry,
                       r->repository, r->registry);
    if (strcmp(r->registry, "docker.io") == 0 && parts != 2)
        return err_set(e, ERR_USAGE,
                       "%s: where to? Docker Hub's images are called USER/IMAGE, others REGISTRY/%s",
                       r->repository, r->repository);
    return true;
}

static bool check_repository(const char *text, struct err *e)
{
    if (reference_is_repository(text))
        return true;
    for (const char *p = text; *p; p++) {
        if (*p >= 'A' && *p <= 'Z')
            return err_set(e, ERR_USAGE, "%.300s: an image's name is written in lower case", text);
    }
    return err_set(
        e, ERR_USAGE,
        "%.300s: not the name of an image: expected parts of a-z, 0-9 and single . _ - between them, "
        "with slashes between the parts",
        text);
}

/* "repository[:tag]" */
static bool parse_rest(struct reference *r, const char *rest, struct arena *a, struct err *e)
{
    const char *colon = strchr(rest, ':');
    size_t size = colon ? (size_t)(colon - rest) : strlen(rest);
    r->tag = arena_printf(a, "%s", colon ? colon + 1 : "latest");
    r->repository = arena_strndup(a, rest, size);
    if (!r->tag || !r->repository)
        return err_set(e, ERR_MEMORY, "no memory");
    if (!reference_is_tag(r->tag))
        return err_set(
            e, ERR_USAGE,
            "\"%.200s\": not a tag: expected up to 128 letters, digits, . _ -, not beginning with . or -",
            r->tag);
    return check_repository(r->repository, e);
}

bool reference_parse(struct reference *r, const char *text, struct arena *a, struct err *e)
{
    *r = (struct reference){.registry = "docker.io"};
    if (strstr(text, "://"))
        return err_set(e, ERR_USAGE, "%.300s: an image's name has no %.*s before it", text,
                       (int)(strstr(text, "://") + 3 - text), text);
    if (strchr(text, '@'))
        return err_set(e, ERR_USAGE,
                       "%.300s: an image is pushed to a tag; its digest follows from what it is", text);
    size_t first = strcspn(text, "/");
    bool named = text[first] && is_registry(text, first);
    if (named && !(r->registry = arena_strndup(a, text, first)))
        return err_set(e, ERR_MEMORY, "no memory");
    if (!parse_rest(r, named ? text + first + 1 : text, a, e) || !find_endpoint(r, a, e) ||
        !check_layout(r, e))
        return false;
    r->google = is_google(r->registry);
    return true;
}
