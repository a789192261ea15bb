/* err.h: what went wrong, told once.
 *
 * A function that can fail returns bool (or a pointer) and takes `struct err *` last. The lower layer
 * states the fact with err_set, callers say where with err_wrap, one place (cmd/main.c, or the HTTP reply)
 * prints it: "model-00002-of-00003.safetensors: tensor lm_head.weight: ends 16 bytes past the file".
 * The kind decides exit codes, HTTP status and retry; nobody compares message text, which is in the language
 * of who reads it: formats are looked up in the catalog (catalog.h). No allocation, no locking; an err
 * belongs to one thread at a time. */
#ifndef FERRY_BASE_ERR_H
#define FERRY_BASE_ERR_H

#include <stdbool.h>

enum err_kind {
    ERR_NONE = 0,
    ERR_USAGE,       /* the caller asked for something that makes no sense: exit 2, HTTP 400 */
    ERR_NOT_FOUND,   /* a file, model or route that is not there */
    ERR_IO,          /* the operating system said no */
    ERR_MEMORY,      /* no memory, or over a ceiling */
    ERR_CORRUPT,     /* bytes from outside that are not what they claim to be */
    ERR_UNSUPPORTED, /* well-formed, but not something Ferry does */
    ERR_LIMIT,       /* over a limit that the message names */
    ERR_BUSY,        /* try again later */
    ERR_TRANSIENT,   /* a network hiccup: worth a retry */
    ERR_AUTH,        /* credentials missing or refused */
    ERR_CANCELLED,   /* the one who asked went away */
    ERR_UNCONFIRMED, /* would delete or replace something, and nobody has said yes: exit 4 */
    ERR_FINDINGS,    /* it was looked, and something is wrong: exit 3 */
};

struct err {
    enum err_kind kind; /* ERR_NONE until something is set */
    char text[1000];    /* one line, UTF-8, cut with "..." when longer */
};

/* State a fact. Always false, so that `return err_set(e, …)` reads well. e may be NULL. */
bool err_set(struct err *e, enum err_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Put "where: " in front of what is there. Always false. */
bool err_wrap(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The fact of a failed system call: "what: strerror(errno)". Always false. */
bool err_errno(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
