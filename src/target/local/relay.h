/* relay.h: one client's connection. Its requests are passed on one after the other, each over a connection of
 * its own to the server, and answers come back, byte for byte and as they come. So a client may keep its
 * connection while servers come and go behind it.
 *
 * The owner decides what becomes of each request. Not thread-safe: all of it runs on the loop's thread. */
#ifndef FERRY_TARGET_LOCAL_RELAY_H
#define FERRY_TARGET_LOCAL_RELAY_H

#include "target/local/loop.h"
#include "target/local/message.h"
#include "target/local/span.h"

enum relay_phase {
    RELAY_HEAD,      /* waits for a request's head */
    RELAY_HELD,      /* it is there; the owner has no server for it yet */
    RELAY_PASSING,   /* connected to a server */
    RELAY_LOST,      /* the server hung up before its answer; the owner finds out why */
    RELAY_ANSWERING, /* an answer that does not come from a server */
    RELAY_LINGERING, /* the last answer is out: what still comes is read away, so that the client sees it */
    RELAY_CLOSED
};

struct relay;
struct child;

struct relay_owner {
    void *arg;
    /* A request's head is there, r->request tells of it: relay_pass, relay_hold or relay_answer. */
    void (*request)(void *arg, struct relay *r);
    /* The server hung up before it answered: relay_answer, now or later. */
    void (*lost)(void *arg, struct relay *r);
    /* The server is not needed for this request any more, however it ended. Told once of each request. */
    void (*over)(void *arg, struct relay *r);
    /* The connection is closed. Its memory must stay until the loop's round is over. */
    void (*closed)(void *arg, struct relay *r);
};

struct relay {
    const struct relay_owner *owner;
    struct loop *loop;
    enum relay_phase phase;
    double since_ms;             /* of the phase */
    double moved_ms;             /* the last byte that came or went */
    struct request_head request; /* of the request at hand */
    bool last;                   /* no further request on this connection: the owner may set it */
    struct child *child;         /* the owner's: who answers */
    bool counted;                /* the owner's: it is use */
    struct relay *next, *prev;   /* the owner's */

    struct watcher client, server;
    struct span up, down;        /* from the client, from the server */
    size_t up_ready, down_ready; /* of them: what belongs to this request and its answer */
    struct reply_head reply;
    bool replying;     /* reply is the answer's head: what was before it is 1xx */
    bool replied;      /* the answer is whole */
    bool cut;          /* it never will be */
    bool begun;        /* a request is at hand */
    bool had_request;  /* this is not the first one */
    bool client_ended; /* it has nothing more to say */
    bool told_server;  /* of that */
    bool settling;
};

/* Takes over a connected, nonblocking socket. NULL: no memory, and the socket is closed. */
struct relay *relay_new(int client, struct loop *l, const struct relay_owner *o, double now_ms);
void relay_free(struct relay *r); /* after closed */

/* What is to become of a request (HEAD, HELD). pass takes over a connected socket. */
void relay_pass(struct relay *r, int server, double now_ms);
void relay_hold(struct relay *r, double now_ms);

/* An answer of our own, instead of what a server would say. headers: lines that end in \r\n. Anything but a
 * 200 ends in Connection: close when the request's body has not come yet. */
struct relay_answer {
    int status;
    const char *type, *headers, *body;
};
void relay_answer(struct relay *r, const struct relay_answer *a, double now_ms);

void relay_close(struct relay *r);

/* Closes it when it has been too slow; to be called about once a second. */
void relay_check(struct relay *r, double now_ms);

/* Nothing is being asked, and no head has begun. */
bool relay_is_idle(const struct relay *r);

#endif
