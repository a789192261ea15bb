/* spec.h: what a local service is, as it lies in its service.json and goes to its activator:
 *
 *   {"name":"demo","model":"/models/demo","program":"/usr/bin/ferry","host":"127.0.0.1","port":8080,
 *    "idle_seconds":900,"memory_bytes":0,"environment":["FERRY_PARALLEL=4"]}
 *
 * All fields are there and no other is: a spec of another version is refused rather than half understood. No
 * secrets: keys are named by their files. */
#ifndef FERRY_TARGET_LOCAL_SPEC_H
#define FERRY_TARGET_LOCAL_SPEC_H

#include "base/err.h"

#include <jansson.h>
#include <stdint.h>

enum { SPEC_MAX_VARIABLES = 64, SPEC_MAX_BYTES = 256 << 10 };

/* Strings belong to json. Zeroed means none. */
struct spec {
    json_t *json;
    const char *name, *model, *program, *host;
    int port;
    double idle_seconds;
    uint64_t memory_bytes;                           /* 0: no limit */
    const char *environment[SPEC_MAX_VARIABLES + 1]; /* ends with NULL */
};

/* Takes a reference to json. False with *e (ERR_CORRUPT) naming the field. */
bool spec_take(struct spec *s, json_t *json, struct err *e);
bool spec_parse(struct spec *s, const char *bytes, size_t size, struct err *e);
void spec_clear(struct spec *s);

/* Of its environment; NULL: not in it. */
const char *spec_variable(const struct spec *s, const char *name);

/* The address that a client on this machine uses, into out. Returns out. */
enum { SPEC_URL = 320 };
const char *spec_url(const struct spec *s, char out[SPEC_URL]);

#endif
