/* file_source.h: small files by their name, wherever they lie: in a folder of this machine, or in memory
 * where somebody else has put them. What describes a model (config.json, tokenizer.json, …) is read through
 * this, so that nothing has to be written to a disk first. */
#ifndef FERRY_BASE_FILE_SOURCE_H
#define FERRY_BASE_FILE_SOURCE_H

#include "base/arena.h"
#include "base/err.h"

#include <stddef.h>

/* Any thread, if its arena is the thread's. */
struct file_source {
    /* The whole of a file of at most `ceiling` bytes, a NUL behind it: *bytes lives as long as the arena and
     * the source. A file that is not there is no failure: *bytes NULL. */
    bool (*read)(const struct file_source *s, const char *name, size_t ceiling, struct arena *a,
                 const char **bytes, size_t *size, struct err *e);
    const char *where; /* for messages: "models/x", "gs://bucket/x" */
    void *arg;         /* read's */
};

/* path must outlive it. */
struct file_source file_source_folder(const char *path);

/* As s->read, but a file that is not there is ERR_NOT_FOUND. */
bool file_source_need(const struct file_source *s, const char *name, size_t ceiling, struct arena *a,
                      const char **bytes, size_t *size, struct err *e);

#endif
