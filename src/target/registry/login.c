#include "target/registry/login.h"

#include "base/file.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_FILE = 1 << 20 };

/* Only what can stand in a header, and fits. */
static bool keep_basic(struct login *l, const char *base64, struct err *e)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
    size_t size = strlen(base64);
    if (size == 0 || strspn(base64, digits) != size || size + sizeof "Basic " > sizeof l->basic)
        return err_set(e, ERR_AUTH, "the password for this registry is not base64, or too long");
    snprintf(l->basic, sizeof l->basic, "Basic %s", base64);
    return true;
}

static bool keep_password(struct login *l, const char *user, const char *password, struct err *e)
{
    unsigned char plain[LOGIN_ROOM / 2], base64[LOGIN_ROOM];
    int n = snprintf((char *)plain, sizeof plain, "%s:%s", user, password);
    bool fits = n > 0 && (size_t)n < sizeof plain && !strchr(user, ':');
    if (fits)
        EVP_EncodeBlock(base64, plain, n);
    bool ok = fits ? keep_basic(l, (char *)base64, e)
                   : err_set(e, ERR_AUTH,
                             "the user or password for this registry is too long, or the user has a colon");
    explicit_bzero(plain, sizeof plain);
    explicit_bzero(base64, sizeof base64);
    return ok;
}

/* --- what docker has written --- */

/* Whether a key of "auths" means that registry: "https://index.docker.io/v1/" is how Docker Hub stands there.
 */
static bool means(const char *key, const char *registry)
{
    const char *scheme = strstr(key, "://");
    key = scheme ? scheme + 3 : key;
    size_t size = strcspn(key, "/");
    if (strcmp(registry, "docker.io") == 0 && size == 15 && strncmp(key, "index.docker.io", 15) == 0)
        return true;
    return strlen(registry) == size && strncmp(key, registry, size) == 0;
}

static const char *find_auth(const json_t *file, const char *registry)
{
    const char *key, *found = NULL;
    json_t *value;
    json_object_foreach(json_object_get(file, "auths"), key, value)
    {
        const char *auth = json_string_value(json_object_get(value, "auth"));
        if (auth && *auth && means(key, registry))
            found = auth;
    }
    return found;
}

static const char *find_helper(const json_t *file, const char *registry)
{
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(file, "credHelpers"), key, value)
    {
        if (json_is_string(value) && means(key, registry))
            return json_string_value(value);
    }
    return json_string_value(json_object_get(file, "credsStore"));
}

static const char *copy(const char *text, struct arena *a)
{
    return text ? arena_strndup(a, text, strlen(text)) : NULL;
}

bool login_parse(const char *text, size_t size, const char *registry, struct arena *a, const char **auth,
                 const char **helper, struct err *e)
{
    json_t *file = json_loadb(text, size, 0, NULL);
    if (!json_is_object(file)) {
        json_decref(file);
        return err_set(e, ERR_CORRUPT, "not a file of logins: expected JSON with \"auths\"");
    }
    *auth = copy(find_auth(file, registry), a);
    *helper = copy(find_helper(file, registry), a);
    json_decref(file);
    return true;
}

/* NULL: no such file. */
static char *docker_file(struct arena *a)
{
    const char *podman = getenv("REGISTRY_AUTH_FILE"), *docker = getenv("DOCKER_CONFIG"),
               *home = getenv("HOME");
    char *path = podman && *podman   ? arena_printf(a, "%s", podman)
                 : docker && *docker ? arena_printf(a, "%s/config.json", docker)
                 : home && *home     ? arena_printf(a, "%s/.docker/config.json", home)
                                     : NULL;
    return path && file_exists(path) ? path : NULL;
}

static bool read_docker_file(struct login *l, const struct reference *r, struct arena *a, struct err *e)
{
    const char *auth, *path = docker_file(a);
    size_t size;
    if (!path)
        return true;
    char *text = file_read(a, path, MOST_FILE, &size, e);
    if (!text)
        return false;
    bool ok =
        login_parse(text, size, r->registry, a, &auth, &l->helper, e) && (!auth || keep_basic(l, auth, e));
    explicit_bzero(text, size);
    if (ok && auth)
        snprintf(l->who, sizeof l->who, "the login in %s", path);
    return ok || err_wrap(e, "%s", path);
}

/* --- the first that is there --- */

static bool take_given(struct login *l, const struct login_given *g, struct err *e)
{
    if (!g->user || !g->password)
        return err_set(e, ERR_USAGE, "FERRY_REGISTRY_USER and FERRY_REGISTRY_PASSWORD: set both or none");
    snprintf(l->who, sizeof l->who, "%s (FERRY_REGISTRY_USER)", g->user);
    return keep_password(l, g->user, g->password, e);
}

/* The user's name is what Google wants to hear, with an access token for a password. */
static bool take_token(struct login *l, struct cloud *c, struct err *e)
{
    struct token_source *tokens = cloud_tokens(c, e);
    if (!tokens || !token_get(tokens, l->token, e))
        return false;
    snprintf(l->who, sizeof l->who, "%s", token_source_name(tokens));
    return keep_password(l, "oauth2accesstoken", l->token, e);
}

bool login_find(struct login *l, const struct login_given *given, struct cloud *c, const struct reference *r,
                struct arena *a, struct err *e)
{
    *l = (struct login){.who = "nobody"};
    if (given->user || given->password)
        return take_given(l, given, e);
    return r->google ? take_token(l, c, e) : read_docker_file(l, r, a, e);
}

void login_clear(struct login *l)
{
    explicit_bzero(l, sizeof *l);
}
