#include "target/registry/session.h"

#include "net/url.h"
#include "target/registry/challenge.h"
#include "target/registry/problem.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOKEN_ANSWER = 64 << 10 };

static struct http *client(const struct session *s)
{
    return cloud_http(s->cloud);
}

char *session_url(struct session *s, struct err *e, const char *rest, ...)
{
    char text[1024];
    va_list args;
    va_start(args, rest);
    int n = vsnprintf(text, sizeof text, rest, args);
    va_end(args);
    char *url = NULL;
    if (n >= 0 && (size_t)n < sizeof text)
        url = arena_printf(s->arena, "%s/v2/%s%s", s->to->endpoint, s->to->repository, text);
    if (!url)
        err_set(e, ERR_MEMORY, "no memory for an address");
    return url;
}

/* --- logging in --- */

static bool find_login(struct session *s, struct err *e)
{
    if (!s->login_found)
        s->login_found = login_find(&s->login, &s->given, s->cloud, s->to, s->arena, e);
    return s->login_found;
}

/* TLS, except on this machine; a token of Google's stays with the registry that asked. */
static bool may_hear_login(const struct session *s, const char *realm, struct err *e)
{
    char origin[URL_ORIGIN_BYTES];
    if (url_same_origin(realm, s->to->endpoint) || !s->login.basic[0])
        return true;
    if (s->to->google && s->login.token[0])
        return err_set(e, ERR_AUTH, "%s wants Google's token sent elsewhere; it is not", s->to->registry);
    if (url_origin(realm, origin, sizeof origin) &&
        (strncmp(origin, "https://", 8) == 0 || reference_is_loopback(origin + strlen("http://"))))
        return true;
    return err_set(e, ERR_AUTH, "%s wants the login sent unencrypted; it is not", s->to->registry);
}

/* realm?service=…&scope=…, for pushing to one repository and maybe reading another. */
static char *token_url(struct session *s, const struct challenge *c)
{
    char *service = url_query(s->arena, c->service);
    char *scope = arena_printf(s->arena, "repository:%s:pull,push", s->to->repository);
    char *encoded = scope ? url_query(s->arena, scope) : NULL, *more = arena_strndup(s->arena, "", 0);
    if (s->mount_from) {
        scope = arena_printf(s->arena, "repository:%s:pull", s->mount_from);
        scope = scope ? url_query(s->arena, scope) : NULL;
        more = scope ? arena_printf(s->arena, "&scope=%s", scope) : NULL;
    }
    if (!service || !encoded || !more)
        return NULL;
    return arena_printf(s->arena, "%s%cservice=%s&scope=%s%s", c->realm, strchr(c->realm, '?') ? '&' : '?',
                        service, encoded, more);
}

/* {"token":"…"} or {"access_token":"…"} */
static bool keep_token(struct session *s, const char *answer, size_t size, struct err *e)
{
    json_t *json = json_loadb(answer, size, 0, NULL);
    const char *token = json_string_value(json_object_get(json, "token"));
    if (!token)
        token = json_string_value(json_object_get(json, "access_token"));
    bool fits = token && *token &&
                snprintf(s->authorization, sizeof s->authorization, "Bearer %s", token) <
                    (int)sizeof s->authorization;
    if (!fits)
        s->authorization[0] = 0;
    json_decref(json);
    return fits || err_set(e, ERR_CORRUPT, "the answer has no token, or one that is too long");
}

/* Sends until the answer is no passing trouble. */
static bool send_until(struct session *s, const struct http_request *q, struct http_reply *r, struct err *e)
{
    struct retry retry = retry_start(s->policy, client(s), s->stop);
    for (;;) {
        bool ok = http_send(client(s), q, r, e);
        if (!retry_wanted(&retry, ok, r, e)) {
            if (!ok && retry.tries > 1)
                err_wrap(e, "after %d tries", retry.tries);
            return ok;
        }
        if (!retry_wait(&retry))
            return err_set(e, ERR_CANCELLED, "interrupted");
    }
}

static bool fetch_token(struct session *s, const struct challenge *c, struct err *e)
{
    struct http_reply r;
    char *url = token_url(s, c), *answer = malloc(TOKEN_ANSWER);
    struct http_request q = {
        .method = "GET", .url = url, .into = answer, .into_room = TOKEN_ANSWER, .stop = s->stop};
    bool ok = false;
    if (s->login.basic[0])
        q.headers[0] = (struct http_header){"Authorization", s->login.basic};
    if (!url || !answer)
        err_set(e, ERR_MEMORY, "no memory for a token");
    else if (send_until(s, &q, &r, e))
        ok = r.status == 200 ? keep_token(s, answer, r.size, e) : problem_explain(s, &r, e);
    if (answer)
        explicit_bzero(answer, TOKEN_ANSWER);
    free(answer);
    return ok || err_wrap(e, "logging in at %s", url ? url_bare(s->arena, url) : c->realm);
}

/* Does what the 401 asks. *again: with a new authorization, so that another try makes sense. */
static bool log_in(struct session *s, const struct http_reply *r, bool *again, struct err *e)
{
    struct challenge c;
    challenge_find(r->headers, &c);
    *again = false;
    if (c.scheme == CHALLENGE_NONE)
        return true; /* nothing we can do: the caller explains the 401 */
    if (!find_login(s, e))
        return false;
    if (c.scheme == CHALLENGE_BASIC) {
        *again = s->login.basic[0] && strcmp(s->authorization, s->login.basic) != 0;
        snprintf(s->authorization, sizeof s->authorization, "%s", s->login.basic);
        return true;
    }
    *again = may_hear_login(s, c.realm, e) && fetch_token(s, &c, e);
    return *again;
}

/* Google's token may have been what the registry, or its token endpoint, did not like any more. */
static void renew_login(struct session *s)
{
    struct err none = {0};
    struct token_source *tokens = s->login.token[0] ? cloud_tokens(s->cloud, &none) : NULL;
    if (tokens && token_refused(tokens, s->login.token))
        s->login_found = false;
}

/* --- requests --- */

/* Once, and again after a login; a second 401 is the answer. */
static bool send_logged_in(struct session *s, struct http_request *q, bool once, struct http_reply *r,
                           struct err *e)
{
    bool ours = url_same_origin(q->url, s->to->endpoint), again = false;
    int free_header = 0;
    while (q->headers[free_header].name)
        free_header++;
    for (bool asked = false;; asked = true) {
        if (ours && s->authorization[0])
            q->headers[free_header] = (struct http_header){"Authorization", s->authorization};
        if (!(once ? http_send(client(s), q, r, e) : send_until(s, q, r, e)))
            return false;
        if (r->status != 401 || !ours || asked)
            return true;
        if (s->authorization[0])
            renew_login(s);
        if (!log_in(s, r, &again, e))
            return false;
        if (!again)
            return true;
    }
}

bool session_send(struct session *s, const struct http_request *q, int flags, struct http_reply *r,
                  struct err *e)
{
    struct http_request mine = *q;
    mine.stop = s->stop;
    return send_logged_in(s, &mine, flags & SESSION_ONCE, r, e);
}

void session_clear(struct session *s)
{
    login_clear(&s->login);
    explicit_bzero(s->authorization, sizeof s->authorization);
}
