#include "base/log.h"

#include "base/utf8.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static _Atomic int least_level = LOG_INFO; /* the one setting that is process-wide, like stderr itself */
static _Atomic int log_fd = STDERR_FILENO;

static const char *const level_names[] = {"debug", "info", "warning", "error", "off"};
static const char *const severities[] = {"DEBUG", "INFO", "WARNING", "ERROR"};

struct line {
    char bytes[8192]; /* a message is cut at half of it; fields that do not fit are left out whole */
    size_t n;
    bool full;
};

static void put(struct line *l, const char *s, size_t n)
{
    if (l->full || n > sizeof l->bytes - 3 - l->n) {
        l->full = true;
        return;
    }
    memcpy(l->bytes + l->n, s, n);
    l->n += n;
}

static void put_str(struct line *l, const char *s)
{
    put(l, s, strlen(s));
}

/* Ends in "..." where the line has grown to `limit`; bytes that are not UTF-8 become U+FFFD. */
static void put_json_string(struct line *l, const char *s, size_t limit)
{
    put_str(l, "\"");
    for (int n; *s; s += n ? n : 1) {
        char escaped[8];
        n = utf8_length(s);
        if (l->n >= limit) {
            put_str(l, "...");
            break;
        }
        if (n == 0)
            put_str(l, "\\ufffd");
        else if (*s == '"' || *s == '\\')
            put(l, (char[]){'\\', *s}, 2);
        else if (*s == '\n')
            put_str(l, "\\n");
        else if ((unsigned char)*s < 0x20 || *s == 0x7f)
            put(l, escaped, (size_t)snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned)*s));
        else
            put(l, s, (size_t)n);
    }
    put_str(l, "\"");
}

static void put_field(struct line *l, const struct log_field *f)
{
    char number[40];
    put_str(l, ",");
    put_json_string(l, f->key, SIZE_MAX);
    put_str(l, ":");
    if (f->type == LOG_TYPE_STR) {
        if (f->str)
            put_json_string(l, f->str, SIZE_MAX);
        else
            put_str(l, "null");
        return;
    }
    if (f->type == LOG_TYPE_INT)
        snprintf(number, sizeof number, "%lld", (long long)f->i);
    else
        snprintf(number, sizeof number, isfinite(f->num) ? "%.6g" : "null", f->num);
    put_str(l, number);
}

void log_set_level(enum log_level least)
{
    atomic_store(&least_level, (int)least);
}

void log_set_fd(int fd)
{
    atomic_store(&log_fd, fd);
}

bool log_parse_level(const char *name, enum log_level *level)
{
    for (size_t i = 0; i < sizeof level_names / sizeof *level_names; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

void log_event(enum log_level level, const char *message, const struct log_field *fields)
{
    if ((int)level < atomic_load(&least_level) || level >= LOG_OFF)
        return;
    struct line l = {.n = 0};
    struct timespec now;
    struct tm utc;
    char stamp[40];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t n = strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(stamp + n, sizeof stamp - n, ".%03ldZ", now.tv_nsec / 1000000);
    put_str(&l, "{\"severity\":\"");
    put_str(&l, severities[level]);
    put_str(&l, "\",\"time\":\"");
    put_str(&l, stamp);
    put_str(&l, "\",\"message\":");
    put_json_string(&l, message, sizeof l.bytes / 2);
    for (; fields->type != LOG_TYPE_END; fields++) {
        size_t before = l.n;
        put_field(&l, fields);
        if (l.full) {
            l.n = before;
            l.full = false;
        }
    }
    l.bytes[l.n++] = '}';
    l.bytes[l.n++] = '\n';
    ssize_t written = write(atomic_load(&log_fd), l.bytes, l.n);
    (void)written; /* nowhere to report a broken stderr */
}
