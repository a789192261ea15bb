/* activator_parts.h: the activator as its parts see it. */
#ifndef FERRY_TARGET_LOCAL_ACTIVATOR_PARTS_H
#define FERRY_TARGET_LOCAL_ACTIVATOR_PARTS_H

#include "target/local/activator.h"
#include "target/local/child.h"
#include "target/local/machine.h"
#include "target/local/relay.h"

enum { FAILURE_BYTES = CHILD_WHY + 100 };

struct asker; /* a control connection */

/* An update under way. child NULL: none. */
struct update {
    struct child *child;
    struct spec spec;
    char **environment;
    int listener; /* -1: the port stays */
    struct asker *asker;
};

struct activator {
    struct loop loop;
    const struct home *home;
    struct log_file log;
    struct spec spec; /* in force */
    char **environment;

    struct machine machine;
    struct child *current; /* the machine's; NULL: none */
    struct child *others;  /* being drained, or ended and still named by a relay */
    struct update update;
    int started; /* servers, ever */

    struct watcher listener, control, signals;
    struct relay_owner relay_owner;
    struct relay *relays, *closed_relays;
    int connections, most_connections;
    bool listening;
    bool held;       /* some relays are, perhaps */
    double swept_ms; /* when relays were last looked at for slowness */
    struct asker *askers, *closed_askers;

    uint64_t requests;
    char failure[FAILURE_BYTES]; /* of the last start or server, until one is loaded */
    bool put_to_sleep;           /* why the next stop is one */
    bool stopping;
    double stopping_ms;
};

/* --- activator.c --- */

/* One line in the log. fields: an object, or NULL; taken over. */
void activator_note(struct activator *a, const char *severity, const char *message, json_t *fields);

/* What is asked of a new spec. It is taken over when this is true: the asker is told later how it went, or
 * at once. */
bool activator_apply(struct activator *a, struct spec *s, char **environment, bool wait, struct asker *k,
                     struct err *e);
void activator_forget_update(struct activator *a); /* its asker is gone */
void activator_stop(struct activator *a);
/* The server is stopped, until the next request. False with *e (ERR_BUSY) set: it answers somebody. */
bool activator_sleep(struct activator *a, struct err *e);
json_t *activator_status(const struct activator *a);

/* --- activator_requests.c --- */

void requests_init(struct activator *a);
void requests_accept(struct activator *a);
void requests_pass_held(struct activator *a, double now_ms);
void requests_child_ended(struct activator *a, struct child *c, const char *failure, double now_ms);
void requests_sweep(struct activator *a, double now_ms);
void requests_stop(struct activator *a, double now_ms);
bool requests_pending(const struct activator *a); /* answers are still to come or to go out */
void requests_free_closed(struct activator *a);
void requests_close_all(struct activator *a);

/* --- activator_control.c --- */

bool control_open(struct activator *a, struct err *e);
void control_done(struct activator *a, struct asker *k, const char *problem); /* NULL: it went well */
void control_say(struct activator *a, struct asker *k, const char *line);
void control_free_closed(struct activator *a);
void control_close(struct activator *a);

#endif
