/* human.h: sizes and times as people read them. */
#ifndef FERRY_CMD_HUMAN_H
#define FERRY_CMD_HUMAN_H

#include <stdint.h>

enum { HUMAN_TEXT = 24 };

/* Powers of ten, three digits: "16.8 GB", "512 B", "1.05 MB". Returns out. */
const char *human_bytes(uint64_t bytes, char out[HUMAN_TEXT]);

/* "54 s", "3 min 20 s", "2 h 5 min". Returns out. */
const char *human_seconds(double seconds, char out[HUMAN_TEXT]);

/* RFC 3339, in UTC: "2026-11-25T16:33:40Z". Returns out. */
enum { HUMAN_TIME = 40 };
const char *human_time(int64_t unix_seconds, char out[HUMAN_TIME]);

/* "s" unless there is one of them: "1 file", "2 files". */
const char *human_plural(uint64_t n);

#endif
