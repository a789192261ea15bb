/* peer.h: a listening socket on loopback that says exactly what the case wants, wrong things included.
 * Any number of connections at once, a thread for each. */
#ifndef FERRY_TESTS_NET_PEER_H
#define FERRY_TESTS_NET_PEER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum peer_end {
    PEER_CLOSE, /* after one answer */
    PEER_KEEP,  /* waits for the next request */
    PEER_HANG,  /* silent until the client goes */
    PEER_RESET, /* breaks the connection (RST) */
    PEER_TICK,  /* goes on sending "." four times a second until the client goes */
};

enum { PEER_MAX_CONNECTIONS = 64, PEER_HEAD = 8192 };

struct peer {
    const char *answer; /* to each request; NULL: none */
    size_t answer_size; /* 0: strlen */
    enum peer_end end;
    int delay_ms; /* before each answer */
    bool deaf;    /* reads no body: answers when the head is there */
    int kept;     /* so many answers on a connection, then the next request is read and `end` comes; 0: one */

    int listener, port;
    pthread_t thread;
    struct {
        pthread_mutex_t mutex;
        pthread_t threads[PEER_MAX_CONNECTIONS];
        int fds[PEER_MAX_CONNECTIONS];
        int connections, requests, busy, most_busy;
        char head[PEER_HEAD]; /* of the last request */
        uint64_t body_size;   /* of the last request */
        uint32_t body_crc;
    } locked;
};

void peer_start(struct peer *p);
void peer_stop(struct peer *p); /* all threads gone: its counts can be read */
void peer_url(const struct peer *p, const char *path, char out[200]);

#endif
