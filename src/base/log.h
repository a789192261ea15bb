/* log.h: one JSON line per event on stderr, as Cloud Logging reads them:
 *
 *   {"severity":"INFO","time":"2026-11-23T19:57:57.123Z","message":"ready","model":"…","load_ms":27}
 *
 * Fields follow the message as typed pairs, ended by LOG_END:
 *
 *   log_info("ready", LOG_STR("model", name), LOG_INT("load_ms", ms), LOG_END);
 *
 * Any thread; a line is written with one write(2), so lines never mix. Secrets have no business here. */
#ifndef FERRY_BASE_LOG_H
#define FERRY_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR, LOG_OFF };

enum log_type { LOG_TYPE_END, LOG_TYPE_STR, LOG_TYPE_INT, LOG_TYPE_NUM };

struct log_field {
    enum log_type type;
    const char *key;
    const char *str; /* NULL is written as null */
    int64_t i;
    double num;
};

#define LOG_STR(k, v) ((struct log_field){.type = LOG_TYPE_STR, .key = (k), .str = (v)})
#define LOG_INT(k, v) ((struct log_field){.type = LOG_TYPE_INT, .key = (k), .i = (int64_t)(v)})
#define LOG_NUM(k, v) ((struct log_field){.type = LOG_TYPE_NUM, .key = (k), .num = (v)})
#define LOG_END ((struct log_field){.type = LOG_TYPE_END})

void log_set_level(enum log_level least);
void log_set_fd(int fd); /* where lines go; 2 unless told */

/* "debug", "info", "warning", "error", "off" (FERRY_LOG). False when it is none of them. */
bool log_parse_level(const char *name, enum log_level *level);

void log_event(enum log_level level, const char *message, const struct log_field *fields);

#define log_fields(...) ((const struct log_field[]){__VA_ARGS__})
#define log_debug(m, ...) log_event(LOG_DEBUG, (m), log_fields(__VA_ARGS__))
#define log_info(m, ...) log_event(LOG_INFO, (m), log_fields(__VA_ARGS__))
#define log_warning(m, ...) log_event(LOG_WARNING, (m), log_fields(__VA_ARGS__))
#define log_error(m, ...) log_event(LOG_ERROR, (m), log_fields(__VA_ARGS__))

#endif
