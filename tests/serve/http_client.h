/* http_client.h: a socket that sends exactly the bytes a test wants, since no real client is this rude. */
#ifndef FERRY_TESTS_SERVE_HTTP_CLIENT_H
#define FERRY_TESTS_SERVE_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

struct reply {
    int status; /* 0: the connection ended without a whole reply head */
    char head[4096];
    char body[4 << 20]; /* chunked bodies joined */
    size_t size;
    bool whole; /* up to Content-Length, or to the last chunk */
};

int client_connect(int port);
int client_try(int port);                                 /* -1 when nobody listens */
bool client_send(int fd, const char *bytes, size_t size); /* false: the other side is gone */
void client_write(int fd, const char *text);              /* fails the test when that does not go out */
void client_read(int fd, struct reply *r);                /* one reply, at most 30 s */
bool client_closed(int fd, double seconds);               /* the other side closes within that time */

/* One request on a connection of its own. headers: lines ending in \r\n. body NULL: none. */
void client_ask(int port, const char *method, const char *path, const char *headers, const char *body,
                struct reply *r);

#endif
