/* log_file.h: the log of a service: lines appended to a file, which becomes log.1 when it has grown to
 * LOG_FILE_BYTES; the log.1 before is gone then. So it never takes more than twice that. One thread. */
#ifndef FERRY_TARGET_LOCAL_LOG_FILE_H
#define FERRY_TARGET_LOCAL_LOG_FILE_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum { LOG_FILE_BYTES = 8 << 20 };

#define LOG_FILE_NAME "log"
#define LOG_FILE_OLD "log.1"

struct log_file {
    int folder; /* the caller's */
    int fd;
    uint64_t size;
    uint64_t limit;
    int echo; /* a descriptor that gets each line as well; -1: none */
};

/* In the folder of that descriptor, mode 0600. limit: 0 for LOG_FILE_BYTES. */
bool log_file_open(struct log_file *l, int folder, uint64_t limit, int echo, struct err *e);
void log_file_close(struct log_file *l);

/* One line, without its \n. A full disk loses it: there is nowhere to tell. */
void log_file_line(struct log_file *l, const char *line, size_t size);

#endif
