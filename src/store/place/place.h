/* place.h: what each kind of store brings (store.h says what it means). */
#ifndef FERRY_STORE_PLACE_PLACE_H
#define FERRY_STORE_PLACE_PLACE_H

#include "store/store.h"

struct store_kind {
    bool (*list)(struct store *s, const char *prefix, enum store_depth depth, entry_fn fn, void *arg,
                 struct err *e);
    bool (*stat)(struct store *s, const char *name, struct arena *a, struct entry *out, struct err *e);
    bool (*read)(struct store *s, const struct entry *from, uint64_t offset, size_t size, void *into,
                 const volatile sig_atomic_t *stop, struct err *e);
    bool (*pour)(struct store *s, const struct entry *from, uint64_t offset, uint64_t size,
                 store_take_fn take, void *arg, const volatile sig_atomic_t *stop,
                 struct err *e); /* NULL: read does it in pieces */
    bool (*read_changed)(struct store *s, const char *name, int64_t known, void *into, size_t room,
                         const volatile sig_atomic_t *stop, struct store_change *out,
                         struct err *e); /* or NULL */
    bool (*remove)(struct store *s, const struct entry *what, struct err *e);
    bool (*put)(struct store *s, const char *name, const void *bytes, size_t size, int64_t if_generation,
                struct arena *a, struct entry *out, struct err *e);
    bool (*copy)(const struct store_copy *copy, struct rewrite_state *at, struct arena *a, struct entry *out,
                 struct err *e); /* from and to are of this kind; NULL: it makes none itself */
    struct upload *(*begin)(struct store *s, const struct upload_spec *spec, const char *resume,
                            struct err *e);
    void (*close)(struct store *s);
};

struct store {
    const struct store_kind *kind;
    struct uri uri;     /* path "": the place alone; strings are the store's */
    const char *commit; /* of a repository */
    struct store *next; /* the stores' list */
};

/* Each NULL with *e set. c, h: must outlive the store. */
struct store *local_open(struct err *e);
struct store *gs_open(struct cloud *c, const struct uri *u, struct err *e);
struct store *hf_open(struct hub *h, const struct uri *u, struct err *e);

#endif
