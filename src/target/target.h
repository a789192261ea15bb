/* target.h: a place where services run, behind one interface: what `ferry deploy`, `status`, `logs` and
 * `down` ask of each.
 *
 *   const struct target *t = target_find("local", e);
 *   t->apply(&run, &spec, &service, e)
 *
 * A service has a name, at each target at most once. Functions of a target block; one thread per run. */
#ifndef FERRY_TARGET_TARGET_H
#define FERRY_TARGET_TARGET_H

#include "base/arena.h"
#include "base/err.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

enum { TARGET_NAME_MAX = 49 }; /* Cloud Run's limit */

/* One run of a command. */
struct target_run {
    struct arena *arena;                      /* what is returned lives in it */
    const volatile sig_atomic_t *stop;        /* NULL: nobody can ask to stop */
    void (*say)(void *arg, const char *line); /* what takes time, or what people should know; may be NULL */
    void *arg;
    struct cloud *cloud; /* for services of Google's; NULL: those are passed over */
    const char *project; /* with cloud */
    const char *region;  /* where; NULL: status looks everywhere */
};

struct local_options;     /* local.h */
struct cloud_run_options; /* cloud_run.h */
struct knative_options;   /* knative.h */

/* What is to run. */
struct target_spec {
    const char *name;
    const char *model;              /* a URI, or the absolute path of a folder */
    const char *const *environment; /* "NAME=VALUE" of docs/design.md, "The service"; no secrets. Ends with
                                     * NULL; FERRY_MODEL and PORT are the target's to set */
    /* for the target of that name */
    const struct local_options *local;
    const struct knative_options *knative;
    const struct cloud_run_options *cloud_run;
};

/* What runs. Strings in the arena of the run; NULL or 0: unknown there. */
struct target_service {
    const char *name, *target, *url, *model;
    const char *state;   /* one or two words: "asleep", "starting", "awake", "failed" */
    const char *problem; /* why it is not well, or why the last start or update failed */
    const char *config;  /* the URI of its live configuration */
    const char *api_key_file;
    struct {
        const char *project, *secret, *version;
    } key_secret;            /* of Secret Manager, which its API key comes from; secret NULL: none is known */
    const char *region;      /* where it runs; NULL: here */
    bool wants_identity;     /* callers show an ID token for its URL (cloud/identity.h) */
    int vcpu;                /* with memory_limit_bytes: of an instance */
    int min_instances;       /* kept while nobody asks */
    bool cpu_always;         /* billed for as long as they are there, not while they answer */
    const char *accelerator; /* "nvidia-l4"; NULL: none */
    bool zonal_redundancy;   /* of the accelerator, which costs more */
    int64_t since;           /* of the state; seconds since 1970 */
    int64_t retry_seconds;   /* failed: no new start before */
    int64_t requests;        /* answered; -1: unknown */
    int64_t in_flight;       /* being answered, or waiting for it */
    uint64_t memory_bytes, memory_limit_bytes;
    const char *memory_note; /* of the limit: why there is none although one was asked for */
    double idle_seconds;     /* without a request, until it sleeps */
    long pid;                /* of what holds its port on this machine */
};

typedef bool (*target_service_fn)(void *arg, const struct target_service *s, struct err *e);

struct target_log_options {
    int lines;   /* from the end */
    bool follow; /* goes on until stop */
};
typedef bool (*target_line_fn)(void *arg, const char *line, size_t size, struct err *e); /* without \n */

enum target_format { TARGET_YAML, TARGET_JSON };

struct target {
    const char *name;
    /* Of a target that only writes down what is to run, for other programs to do: the text, in the arena of
     * the run. Such a target has no other function, others do not have this one. */
    const char *(*manifest)(struct target_run *r, const struct target_spec *s, enum target_format f,
                            struct err *e);
    /* Creates or updates: when it returns true, requests are taken under the new spec. No request fails for
     * an update. *out says what runs now. */
    bool (*apply)(struct target_run *r, const struct target_spec *s, struct target_service *out,
                  struct err *e);
    /* All services, or the one of that name (none is no error). */
    bool (*status)(struct target_run *r, const char *name, target_service_fn each, void *arg, struct err *e);
    bool (*logs)(struct target_run *r, const char *name, const struct target_log_options *o,
                 target_line_fn line, void *arg, struct err *e);
    /* Stops its server, so that the next request starts one; returns once there is none. ERR_BUSY: it answers
     * somebody. NULL: nothing but time does that there. */
    bool (*sleep)(struct target_run *r, const char *name, struct err *e);
    /* Ends it and whatever belongs to it, and has looked that it is gone. ERR_NOT_FOUND: there is none. */
    bool (*destroy)(struct target_run *r, const char *name, struct err *e);
};

/* The n-th target, NULL behind the last. */
const struct target *target_at(size_t n);

/* False with *e (ERR_USAGE) set: lower case letters, digits and dashes, a letter first, at most 49. */
bool target_check_name(const char *name, struct err *e);

#endif
