/* down_bucket_parts.h: what the parts of down_bucket.h share. */
#ifndef FERRY_CMD_DOWN_BUCKET_PARTS_H
#define FERRY_CMD_DOWN_BUCKET_PARTS_H

#include "cmd/down_bucket.h"
#include "target/holdings.h"

#include <pthread.h>
#include <stdint.h>

enum { DOWN_BUCKETS_MOST = 4, DOWN_PLACES_MOST = 3 };

struct down_item {
    const char *bucket, *name;
    uint64_t size;
    int64_t generation;
};

/* A part of a bucket that is the service's. */
struct down_place {
    const char *uri;           /* for people */
    const char *bucket, *name; /* "qwen/": all that begins so; "audio.json": that object */
    const char *reader;        /* another service that reads it: it stays */
};

struct down_in_bucket {
    const char *name, *stays; /* why; NULL: it goes */
    struct holding held;      /* what of it goes */
    bool known, ours;         /* one of the project's */
    int others;               /* objects that stay */
};

struct down_bucket {
    struct target_run *run;
    const char *service;
    const char *model, *config;     /* URIs; "" where there is none, or it is not known */
    const char *note, *note_bucket; /* the note's name; "": no account, no note */
    struct down_place places[DOWN_PLACES_MOST];
    struct down_in_bucket buckets[DOWN_BUCKETS_MOST];
    struct down_item *items;
    int place_count, bucket_count;
    size_t count, room;
    size_t done_first; /* items deleted before the others */
    int neighbours;    /* other services in its region, which use the images, too */
    uint64_t image_bytes;
    const char *region;
    struct {
        pthread_mutex_t mutex;
        struct err first;
    } locked;
};

/* gs://…; NULL and "" are not. */
bool down_is_gs(const char *uri);
/* Whether that object belongs there, and goes. */
bool down_is_in(const struct down_place *p, const char *bucket, const char *name);
/* Whether there is such a bucket. */
bool down_is_there(const struct down_in_bucket *b);

#endif
