#include "store/uri.h"

#include "base/catalog.h"
#include "base/utf8.h"
#include "store/place/object_name.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
    MAX_HUB_NAME = 96, /* of the owner, and of the repository */
    MIN_BUCKET = 3,
    MAX_BUCKET_PART = 63, /* between dots */
    MAX_BUCKET = 222,
};

static bool is_lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alnum(char c)
{
    return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z');
}

static bool is_utf8(const char *text)
{
    while (*text) {
        int n = utf8_length(text);
        if (n == 0)
            return false;
        text += n;
    }
    return true;
}

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_MEMORY, "no memory for a URI");
}

static bool ends_in_slash(const char *path)
{
    size_t n = strlen(path);
    return n > 0 && path[n - 1] == '/';
}

/* --- Cloud Storage --- */

static bool is_bucket(const char *s, size_t n)
{
    if (n < MIN_BUCKET || n > MAX_BUCKET || !is_lower_or_digit(s[0]) || !is_lower_or_digit(s[n - 1]))
        return false;
    size_t part = 0;
    for (size_t i = 0; i < n; i++) {
        part = s[i] == '.' ? 0 : part + 1;
        if (part > MAX_BUCKET_PART || (s[i] == '.' && s[i - 1] == '.'))
            return false;
        if (!is_lower_or_digit(s[i]) && !strchr("._-", s[i]))
            return false;
    }
    return true;
}

static bool parse_gs(struct uri *u, const char *rest, struct arena *a, struct err *e)
{
    size_t n = strcspn(rest, "/");
    if (!is_bucket(rest, n))
        return err_set(e, ERR_USAGE,
                       "gs://%.*s: not a bucket's name (3 to 63 lower-case letters, digits, '-', '_', '.'); "
                       "expected gs://BUCKET/PREFIX",
                       n > 100 ? 100 : (int)n, rest);
    const char *path = rest[n] ? rest + n + 1 : "";
    u->scheme = URI_GS;
    u->place = arena_strndup(a, rest, n);
    u->path = arena_strndup(a, path, strlen(path));
    u->folder = !*path || ends_in_slash(path);
    return (u->place && u->path) ? object_prefix_check(u->place, u->path, e) : no_memory(e);
}

/* --- Hugging Face --- */

/* Length of an owner's or repository's name that text begins with; 0: none. */
static size_t hub_name(const char *text)
{
    size_t n = 0;
    while (is_alnum(text[n]) || (text[n] && strchr("._-", text[n])))
        n++;
    if (n == 0 || n > MAX_HUB_NAME || strchr(".-", text[0]) || strchr(".-", text[n - 1]))
        return 0;
    for (size_t i = 1; i < n; i++)
        if (text[i] == text[i - 1] && strchr(".-", text[i]))
            return 0;
    return n;
}

/* Length of owner/name; 0: text does not begin with one. */
static size_t hub_repo(const char *text)
{
    size_t owner = hub_name(text);
    if (!owner || text[owner] != '/')
        return 0;
    size_t name = hub_name(text + owner + 1);
    return name ? owner + 1 + name : 0;
}

/* Revisions that have slashes and are written with them, as huggingface_hub reads them. */
static size_t special_ref(const char *text)
{
    static const char *const forms[] = {"refs/pr/", "refs/convert/"};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        size_t n = strlen(forms[i]);
        size_t m = strncmp(text, forms[i], n) == 0 ? strcspn(text + n, "/") : 0;
        if (m > 0)
            return n + m;
    }
    return 0;
}

/* What git forbids in a ref, and what has no business in a URL. */
static bool is_revision(const char *text)
{
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c <= ' ' || *c == 0x7f || strchr("~^:?*[\\@", *c))
            return false;
    return *text && is_utf8(text) && !strstr(text, "..");
}

/* %2F becomes "/"; in place. */
static void decode_slashes(char *text)
{
    char *to = text;
    for (const char *from = text; *from; to++) {
        bool slash = from[0] == '%' && from[1] == '2' && (from[2] == 'F' || from[2] == 'f');
        *to = slash ? '/' : *from;
        from += slash ? 3 : 1;
    }
    *to = 0;
}

/* text begins behind the "@". */
static bool take_revision(struct uri *u, const char **text, struct arena *a, struct err *e)
{
    size_t n = special_ref(*text);
    if (n == 0)
        n = strcspn(*text, "/");
    char *revision = arena_strndup(a, *text, n);
    if (!revision)
        return no_memory(e);
    decode_slashes(revision);
    if (!is_revision(revision))
        return err_set(e, ERR_USAGE,
                       "hf://%s@%.*s: not a revision; expected a branch, a tag or a commit behind the @",
                       u->place, n > 200 ? 200 : (int)n, *text);
    u->revision = revision;
    *text += n;
    return true;
}

static bool parse_hf(struct uri *u, const char *rest, struct arena *a, struct err *e)
{
    size_t n = hub_repo(rest);
    if (!n || (rest[n] && !strchr("/@", rest[n])))
        return err_set(e, ERR_USAGE, "hf://%.200s: expected hf://OWNER/NAME[@REVISION][/PATH]", rest);
    u->scheme = URI_HF;
    u->place = arena_strndup(a, rest, n);
    if (!u->place)
        return no_memory(e);
    rest += n;
    if (*rest == '@') {
        rest++;
        if (!take_revision(u, &rest, a, e))
            return false;
    }
    rest += *rest == '/';
    if (!is_utf8(rest))
        return err_set(e, ERR_USAGE, "hf://%s/%s: a path in a repository has to be UTF-8", u->place, rest);
    u->path = arena_strndup(a, rest, strlen(rest));
    u->folder = !*rest || ends_in_slash(rest);
    return u->path || no_memory(e);
}

/* --- this machine --- */

static bool is_folder_name(const char *path)
{
    const char *last = strrchr(path, '/');
    last = last ? last + 1 : path;
    return !*last || strcmp(last, ".") == 0 || strcmp(last, "..") == 0;
}

static bool parse_local(struct uri *u, const char *text, struct arena *a, struct err *e)
{
    if (strlen(text) >= PATH_MAX)
        return err_set(e, ERR_USAGE, "%.40s…: %zu bytes, a path has at most %d", text, strlen(text),
                       PATH_MAX - 1);
    u->scheme = URI_LOCAL;
    u->path = arena_strndup(a, text, strlen(text));
    u->folder = is_folder_name(text);
    return u->path || no_memory(e);
}

/* owner/name or owner/name@revision, nothing behind it. */
static bool has_bare_form(const char *text)
{
    size_t n = hub_repo(text);
    if (!n)
        return false;
    return !text[n] || (text[n] == '@' && (special_ref(text + n + 1) || !strchr(text + n, '/')));
}

/* Here as it stands, or about to be: its folder is here. */
static bool is_here(const char *text)
{
    struct stat st;
    char parent[MAX_HUB_NAME + 1];
    if (stat(text, &st) == 0)
        return true;
    snprintf(parent, sizeof parent, "%.*s", (int)strcspn(text, "/"), text);
    return stat(parent, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool refuse_scheme(const char *text, size_t n, struct err *e)
{
    static const char *const hub[] = {"https://huggingface.co/", "https://hf.co/"};
    for (size_t i = 0; i < sizeof hub / sizeof *hub; i++) {
        size_t k = strlen(hub[i]), repo = strncmp(text, hub[i], k) == 0 ? hub_repo(text + k) : 0;
        if (repo)
            return err_set(e, ERR_USAGE, "%.200s: write hf://%.*s", text, (int)repo, text + k);
    }
    return err_set(e, ERR_USAGE,
                   "%.*s://: not a place Ferry knows; expected gs://BUCKET/PREFIX, hf://OWNER/NAME or a path",
                   n > 40 ? 40 : (int)n, text);
}

/* Letters before "://"; 0: text is no URI. */
static size_t scheme_length(const char *text)
{
    size_t n = 0;
    while (is_alnum(text[n]) || (n && text[n] && strchr("+.-", text[n])))
        n++;
    return n && strncmp(text + n, "://", 3) == 0 ? n : 0;
}

bool uri_parse(struct uri *u, const char *text, struct arena *a, struct err *e)
{
    *u = (struct uri){.scheme = URI_LOCAL};
    size_t scheme = scheme_length(text);
    if (!*text)
        return err_set(e, ERR_USAGE, "an empty name; expected gs://BUCKET/PREFIX, hf://OWNER/NAME or a path");
    if (strcmp(text, "-") == 0) {
        *u = (struct uri){.scheme = URI_STDIO, .path = ""};
        return true;
    }
    if (scheme == 2 && strncmp(text, "gs", 2) == 0)
        return parse_gs(u, text + 5, a, e);
    if (scheme == 2 && strncmp(text, "hf", 2) == 0)
        return parse_hf(u, text + 5, a, e);
    if (scheme)
        return refuse_scheme(text, scheme, e);
    if (has_bare_form(text) && !is_here(text))
        return parse_hf(u, text, a, e);
    return parse_local(u, text, a, e);
}

/* --- putting together --- */

static char *join_path(struct arena *a, const char *path, const char *name)
{
    bool slash = *path && *name && !ends_in_slash(path);
    return arena_printf(a, "%s%s%s", path, slash ? "/" : "", name);
}

/* "@revision" as it is typed; "" for none. */
static char *print_revision(struct arena *a, const char *revision)
{
    if (!revision)
        return arena_strndup(a, "", 0);
    bool plain = special_ref(revision) == strlen(revision);
    char *out = arena_alloc(a, strlen(revision) + 1, 3), *to = out;
    if (!out)
        return NULL;
    *to++ = '@';
    for (; *revision; revision++) {
        bool slash = *revision == '/' && !plain;
        memcpy(to, slash ? "%2F" : revision, slash ? 3 : 1);
        to += slash ? 3 : 1;
    }
    *to = 0;
    return out;
}

static char *join_local(struct arena *a, const char *path)
{
    /* what would be read as a repository, or as stdin, is told apart */
    bool doubtful = strcmp(path, "-") == 0 || scheme_length(path) || (has_bare_form(path) && !is_here(path));
    return doubtful ? arena_printf(a, "./%s", path) : arena_strndup(a, path, strlen(path));
}

char *uri_join(struct arena *a, const struct uri *u, const char *name)
{
    if (u->scheme == URI_STDIO)
        return arena_strndup(a, "-", 1);
    char *path = join_path(a, u->path, name);
    if (!path)
        return NULL;
    if (u->scheme == URI_LOCAL)
        return join_local(a, path);
    char *revision = print_revision(a, u->revision);
    if (!revision)
        return NULL;
    return arena_printf(a, "%s://%s%s%s%s", u->scheme == URI_GS ? "gs" : "hf", u->place, revision,
                        *path ? "/" : "", path);
}

bool name_stays_below(const char *name, struct err *e)
{
    for (const char *part = name;; part++) {
        size_t n = strcspn(part, "/");
        if (n == 0 || (n == 1 && part[0] == '.') || (n == 2 && part[0] == '.' && part[1] == '.'))
            return err_set(e, ERR_UNSUPPORTED, "%.900s: cannot be a file here: %s", *name ? name : "\"\"",
                           *name == '/'         ? _("it begins with a slash")
                           : n == 0 && !part[n] ? _("it ends in a slash")
                           : n == 0             ? _("two slashes in a row")
                           : n == 1             ? _("a part of it is \".\"")
                                                : _("a part of it is \"..\""));
        part += n;
        if (!*part)
            return true;
    }
}
