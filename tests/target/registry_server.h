/* registry_server.h: a registry for tests, in memory, on a port of its own on 127.0.0.1: what the
 * distribution specification (1.0) asks of one, written from it and not from our client, and what goes wrong
 * with real ones. One request per connection, one connection at a time, in a thread. */
#ifndef FERRY_TESTS_TARGET_REGISTRY_SERVER_H
#define FERRY_TESTS_TARGET_REGISTRY_SERVER_H

#include <stdbool.h>
#include <stddef.h>

struct registry_server;

enum server_auth { SERVER_OPEN, SERVER_BASIC, SERVER_TOKEN };
#define SERVER_USER "someone"
#define SERVER_PASSWORD "pass:word"
#define SERVER_GOOGLE_TOKEN "ya29.token" /* user oauth2accesstoken */

/* What goes wrong: the first that fits a request strikes, once for each of `times`, after `skip` that fit. */
struct server_fault {
    const char *method, *path; /* path: a part of path and query; NULL: any */
    int skip, times;
    int status; /* this answer instead of the real one */
    const char *headers, *body;
    bool late;           /* the request is carried out all the same */
    size_t cut_after;    /* the connection breaks after so many bytes of the body; they are kept */
    bool hang_up;        /* the connection breaks after the request was carried out */
    const char *digest;  /* what the answer's Docker-Content-Digest says instead */
    bool forget_uploads; /* before the request is looked at */
    bool forget_tokens;  /* the same */
    size_t damage;       /* 1 + a byte of the body that arrives changed */
    bool bare_range;     /* "0-0" for an upload that holds nothing is left out */
    bool twice;          /* a piece is kept twice, as if it had been sent again after a lost answer */
};

struct registry_server *server_start(enum server_auth auth);
void server_stop(struct registry_server *s);
const char *server_host(const struct registry_server *s); /* "127.0.0.1:PORT" */

/* The realm that the challenge names; its own unless told. */
void server_realm(struct registry_server *s, const char *realm);
void server_fault(struct registry_server *s,
                  const struct server_fault *f); /* replaces those before; NULL: none */
void server_add_fault(struct registry_server *s, const struct server_fault *f);

/* "METHOD PATH STATUS\n" of each request, in order; until the next call or server_stop. server_forget empties
 * it. */
const char *server_log(struct registry_server *s);
void server_forget(struct registry_server *s);
int server_count(struct registry_server *s, const char *method,
                 const char *path);                /* of those that contain path */
size_t server_received(struct registry_server *s); /* bytes of bodies */

bool server_has_blob(struct registry_server *s, const char *digest);
void server_put_blob(struct registry_server *s, const void *bytes, size_t size, char digest[72]);
/* The manifest that a tag names, NULL: none; until server_stop. */
const char *server_manifest(struct registry_server *s, const char *repository, const char *tag);
/* The last Authorization header that came to a path containing this, "" when none did. */
const char *server_authorization(struct registry_server *s, const char *path);

#endif
