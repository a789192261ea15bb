#include "transfer/journal.h"

#include "transfer/journal/line.h"
#include "transfer/journal/state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct journal {
    char path[PATH_MAX];
    int fd;
    struct {
        pthread_mutex_t mutex;
        struct state state;
        off_t size; /* of the file: whole lines */
    } locked;
};

/* --- where it lies --- */

static bool make_folders(char *path, struct err *e)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        bool made = mkdir(path, 0700) == 0 || errno == EEXIST;
        if (!made)
            err_errno(e, "%s", path);
        *slash = '/';
        if (!made)
            return false;
    }
    return true;
}

/* A name a person can tell from others, and a hash that makes it the pair's own. */
char *journal_leaf(const char *source, const char *target, char out[JOURNAL_LEAF])
{
    struct sha256 h;
    char hex[SHA256_HEX], word[48];
    size_t n = strlen(source), w = 0;
    sha256_start(&h);
    sha256_add(&h, source, n + 1); /* the NUL keeps "a" + "bc" from being "ab" + "c" */
    sha256_add(&h, target, strlen(target));
    sha256_end(&h, hex);
    while (n && source[n - 1] == '/')
        n--;
    while (n && source[n - 1] != '/')
        n--;
    for (const char *c = source + n; *c && w + 1 < sizeof word; c++)
        word[w++] = strchr("-_.", *c) || (*c >= '0' && *c <= '9') || ((*c | 32) >= 'a' && (*c | 32) <= 'z')
                        ? *c
                        : '_';
    word[w] = '\0';
    snprintf(out, JOURNAL_LEAF, "%s-%.16s", word, hex);
    return out;
}

static bool name_place(struct journal *j, const char *source, const char *target, struct err *e)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    char leaf[JOURNAL_LEAF];
    int n;
    journal_leaf(source, target, leaf);
    if (state && *state == '/') /* a relative one is to be ignored, says the XDG specification */
        n = snprintf(j->path, sizeof j->path, "%s/ferry/%s", state, leaf);
    else if (home && *home == '/')
        n = snprintf(j->path, sizeof j->path, "%s/.local/state/ferry/%s", home, leaf);
    else
        return err_set(e, ERR_USAGE, "no place for the journal of the copy: set HOME or XDG_STATE_HOME");
    return n < (int)sizeof j->path ||
           err_set(e, ERR_USAGE, "the path of the folder for journals is too long");
}

/* --- opening --- */

static bool lock(struct journal *j, struct err *e)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(j->fd, F_SETLK, &l) == 0)
        return true;
    if (errno != EACCES && errno != EAGAIN)
        return err_errno(e, "%s: lock", j->path);
    if (fcntl(j->fd, F_GETLK, &l) == 0 && l.l_type != F_UNLCK && l.l_pid > 0)
        return err_set(e, ERR_BUSY, "process %ld is at the same copy; wait for it, or end it first",
                       (long)l.l_pid);
    return err_set(e, ERR_BUSY, "another process is at the same copy");
}

/* The file that has this name still, locked: another process may remove it between open and lock. */
static bool open_locked(struct journal *j, struct err *e)
{
    for (int tries = 0; tries < 100; tries++) {
        struct stat st;
        j->fd = open(j->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (j->fd < 0)
            return err_errno(e, "%s", j->path);
        if (!lock(j, e))
            return false;
        if (fstat(j->fd, &st) != 0 || !S_ISREG(st.st_mode))
            return err_set(e, ERR_IO, "%s: not a regular file", j->path);
        if (st.st_nlink > 0) {
            j->locked.size = st.st_size;
            return fchmod(j->fd, 0600) == 0 || err_errno(e, "%s", j->path);
        }
        close(j->fd);
    }
    return err_set(e, ERR_BUSY, "%s: other processes remove it again and again", j->path);
}

static bool read_whole(const struct journal *j, char *text, size_t size, struct err *e)
{
    for (size_t at = 0; at < size;) {
        ssize_t n = pread(j->fd, text + at, size - at, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? err_errno(e, "%s", j->path) : err_set(e, ERR_IO, "%s: got shorter", j->path);
        at += (size_t)n;
    }
    return true;
}

/* What the lines say, up to the first damaged one; the rest is cut off. */
static bool read_lines(struct journal *j, struct err *e)
{
    size_t size = (size_t)j->locked.size, good = 0;
    int lines;
    if (size > JOURNAL_MAX_BYTES)
        return err_set(e, ERR_LIMIT, "%s: %zu bytes, at most %d expected; delete it to start the copy anew",
                       j->path, size, JOURNAL_MAX_BYTES);
    char *text = malloc(size + 1);
    bool ok = text
                  ? read_whole(j, text, size, e) && state_read(&j->locked.state, text, size, &good, &lines, e)
                  : err_set(e, ERR_MEMORY, "no memory for a journal of %zu bytes", size);
    free(text);
    if (ok && good < size)
        ok = ftruncate(j->fd, (off_t)good) == 0 || err_errno(e, "%s", j->path);
    j->locked.size = (off_t)good;
    return ok;
}

/* Lines are made, taken in as if they had been read, and written: none gets there that cannot be read again.
 */
static bool append_locked(struct journal *j, struct text *t, struct err *e)
{
    size_t good = 0;
    int lines;
    char *copy = t->failed ? NULL : malloc(t->size + 1);
    if (!copy)
        return err_set(e, ERR_MEMORY, "no memory for a line of the journal");
    memcpy(copy, t->bytes, t->size);
    bool ok = state_read(&j->locked.state, copy, t->size, &good, &lines, e);
    free(copy);
    if (!ok)
        return false;
    if (good < t->size)
        return err_set(e, ERR_USAGE, "%s: a line that does not fit to those before it", j->path);
    ssize_t n = write(j->fd, t->bytes, t->size);
    if (n == (ssize_t)t->size) {
        j->locked.size += n;
        return true;
    }
    errno = n < 0 ? errno : ENOSPC;
    err_errno(e, "%s", j->path);
    if (ftruncate(j->fd, j->locked.size) != 0) /* else reading stops at the torn line, and rightly so */
        return false;
    return false;
}

static bool append(struct journal *j, struct text *t, struct err *e)
{
    pthread_mutex_lock(&j->locked.mutex);
    bool ok = append_locked(j, t, e);
    pthread_mutex_unlock(&j->locked.mutex);
    text_clear(t);
    return ok;
}

/* A header of its own. Of somebody else's (the hash is the same, or the file was copied) nothing counts. */
static bool check_pair(struct journal *j, const char *source, const char *target, struct err *e)
{
    struct state *s = &j->locked.state;
    if (s->source && strcmp(s->source, source) == 0 && strcmp(s->target, target) == 0)
        return true;
    state_clear(s);
    j->locked.size = 0;
    if (ftruncate(j->fd, 0) != 0)
        return err_errno(e, "%s", j->path);
    struct text t = {0};
    line_header(&t, source, target);
    return append(j, &t, e);
}

struct journal *journal_open(const char *source, const char *target, struct err *e)
{
    struct journal *j = calloc(1, sizeof *j);
    if (!j) {
        err_set(e, ERR_MEMORY, "no memory for a journal");
        return NULL;
    }
    j->fd = -1;
    pthread_mutex_init(&j->locked.mutex, NULL);
    if (name_place(j, source, target, e) && make_folders(j->path, e) && open_locked(j, e) &&
        read_lines(j, e) && check_pair(j, source, target, e))
        return j;
    journal_close(j);
    return NULL;
}

bool journal_exists(const char *source, const char *target)
{
    struct journal j;
    return name_place(&j, source, target, NULL) && access(j.path, F_OK) == 0;
}

void journal_close(struct journal *j)
{
    if (!j)
        return;
    if (j->fd >= 0)
        close(j->fd); /* and unlocked */
    state_clear(&j->locked.state);
    pthread_mutex_destroy(&j->locked.mutex);
    free(j);
}

bool journal_remove(struct journal *j, struct err *e)
{
    bool ok = unlink(j->path) == 0 || errno == ENOENT || err_errno(e, "%s", j->path);
    journal_close(j);
    return ok;
}

const char *journal_path(const struct journal *j)
{
    return j->path;
}

/* --- what is known, and what gets known --- */

const struct journal_file *journal_find(struct journal *j, const char *name)
{
    pthread_mutex_lock(&j->locked.mutex);
    const struct journal_file *f = state_find(&j->locked.state, name);
    pthread_mutex_unlock(&j->locked.mutex);
    return f;
}

bool journal_begin(struct journal *j, const struct journal_start *start, struct err *e)
{
    struct text t = {0};
    line_start(&t, start);
    return append(j, &t, e);
}

bool journal_part(struct journal *j, const char *name, int part, const uint32_t *ranges, int range_count,
                  const char *sha256_state, struct err *e)
{
    struct text t = {0};
    line_part(&t, name, part, ranges, range_count, sha256_state);
    return append(j, &t, e);
}

bool journal_sealing(struct journal *j, const char *name, const struct journal_seal *seal, struct err *e)
{
    struct text t = {0};
    line_seal(&t, name, seal);
    return append(j, &t, e);
}

bool journal_done(struct journal *j, const char *name, int64_t generation, struct err *e)
{
    struct text t = {0};
    line_done(&t, name, generation);
    return append(j, &t, e);
}

bool journal_whole(struct journal *j, const struct journal_start *start, const struct journal_seal *seal,
                   int64_t generation, struct err *e)
{
    struct text t = {0};
    line_start(&t, start);
    line_seal(&t, start->name, seal);
    line_done(&t, start->name, generation);
    return append(j, &t, e);
}

/* --- as text, for another machine --- */

static void print_file(struct text *t, const struct journal_file *f)
{
    struct journal_start start = f->start;
    if (f->done || start.token_is_secret)
        start.upload_token = "";
    line_start(t, &start);
    for (int i = 0; f->parts && i < f->part_count; i++) {
        const struct journal_part *p = &f->parts[i];
        if (p->there)
            line_part(t, start.name, i, p->ranges, p->range_count, p->sha256_state);
    }
    if (f->sealing)
        line_seal(t, start.name, &f->seal);
    if (f->done)
        line_done(t, start.name, f->generation);
}

/* Without its session an upload cannot go on elsewhere; once sealed it needs none. */
static bool helps_others(const struct journal_file *f)
{
    return f->sealing || (*f->start.upload_token && !f->start.token_is_secret);
}

char *journal_text(struct journal *j, size_t *size, struct err *e)
{
    struct text t = {0};
    pthread_mutex_lock(&j->locked.mutex);
    const struct state *s = &j->locked.state;
    line_header(&t, s->source, s->target);
    for (size_t i = 0; i < s->count; i++)
        if (helps_others(s->files[i]))
            print_file(&t, s->files[i]);
    pthread_mutex_unlock(&j->locked.mutex);
    if (t.failed) {
        text_clear(&t);
        err_set(e, ERR_MEMORY, "no memory for the text of a journal");
        return NULL;
    }
    *size = t.size;
    return t.bytes;
}

static bool knows_less(const struct journal_file *ours, const struct journal_file *theirs)
{
    if (!ours || ours->done || theirs->done)
        return !ours || !ours->done;
    if (ours->sealing || theirs->sealing)
        return !ours->sealing;
    return state_parts_there(ours) < state_parts_there(theirs);
}

static bool adopt_locked(struct journal *j, const struct state *theirs, struct err *e)
{
    bool ok = true;
    for (size_t i = 0; ok && i < theirs->count; i++) {
        const struct journal_file *f = theirs->files[i];
        if (!helps_others(f) || !knows_less(state_find(&j->locked.state, f->start.name), f))
            continue;
        struct text t = {0};
        print_file(&t, f);
        ok = append_locked(j, &t, e);
        text_clear(&t);
    }
    return ok;
}

/* Lines of somebody else's, which must be of this pair. */
static bool read_text(struct state *s, const char *source, const char *target, const char *text, size_t size,
                      struct err *e)
{
    size_t good;
    int lines;
    char *copy = size <= JOURNAL_MAX_BYTES ? malloc(size + 1) : NULL;
    if (!copy)
        return err_set(e, ERR_MEMORY, "no memory for a journal of %zu bytes", size);
    if (size)
        memcpy(copy, text, size);
    bool ok = state_read(s, copy, size, &good, &lines, e);
    if (ok && (!s->source || strcmp(s->source, source) != 0 || strcmp(s->target, target) != 0))
        ok = err_set(e, ERR_CORRUPT, "not the journal of this copy");
    free(copy);
    return ok;
}

bool journal_adopt(struct journal *j, const char *text, size_t size, struct err *e)
{
    struct state theirs = {0};
    pthread_mutex_lock(&j->locked.mutex);
    const struct state *ours = &j->locked.state;
    bool ok = read_text(&theirs, ours->source, ours->target, text, size, e) && adopt_locked(j, &theirs, e);
    pthread_mutex_unlock(&j->locked.mutex);
    state_clear(&theirs);
    return ok;
}

struct journal *journal_of_text(const char *source, const char *target, const char *text, size_t size,
                                struct err *e)
{
    struct journal *j = calloc(1, sizeof *j);
    if (!j) {
        err_set(e, ERR_MEMORY, "no memory for a journal");
        return NULL;
    }
    j->fd = -1;
    pthread_mutex_init(&j->locked.mutex, NULL);
    if (read_text(&j->locked.state, source, target, text, size, e))
        return j;
    journal_close(j);
    return NULL;
}

bool journal_check(const char *text, size_t size, int *lines, struct err *e)
{
    struct state s = {0};
    size_t good;
    char *copy = size <= JOURNAL_MAX_BYTES ? malloc(size + 1) : NULL;
    if (!copy)
        return err_set(e, ERR_LIMIT, "a journal of %zu bytes, at most %d expected", size, JOURNAL_MAX_BYTES);
    if (size)
        memcpy(copy, text, size);
    bool ok = state_read(&s, copy, size, &good, lines, e);
    state_clear(&s);
    free(copy);
    return ok;
}
