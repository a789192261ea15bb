#include "staged.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define REPO "hub/owner/name/"

enum { NAME = 40 };

static const struct {
    const char *name;
    size_t size;
    int parts;
} large[STAGED_LARGE] = {{"model-1.safetensors", 2 * STAGED_PART + 4321, 3},
                         {"model-2.safetensors", 2 * STAGED_PART, 2},
                         {"model-3.safetensors", 3000000, 1}};

/* --- the model --- */

static void name_of(int i, char out[NAME])
{
    int small = i - STAGED_LARGE;
    if (small < 0)
        snprintf(out, NAME, "%s", large[i].name);
    else
        snprintf(out, NAME, small ? "small/%02d.json" : "small/%02d 音声 #1.json", small);
}

void staged_make(void)
{
    char name[NAME], path[100];
    for (int i = 0; i < STAGED_LARGE + STAGED_SMALL; i++) {
        name_of(i, name);
        snprintf(path, sizeof path, REPO "%s", name);
        scratch_file(path, i < STAGED_LARGE ? large[i].size : (size_t)(i - STAGED_LARGE) * 1000,
                     (unsigned)i + 1);
    }
}

uint64_t staged_large_bytes(void)
{
    uint64_t bytes = 0;
    for (int i = 0; i < STAGED_LARGE; i++)
        bytes += large[i].size;
    return bytes;
}

void staged_same(const char *folder)
{
    char name[NAME], from[100], to[300];
    for (int i = 0; i < STAGED_LARGE + STAGED_SMALL; i++) {
        name_of(i, name);
        snprintf(from, sizeof from, REPO "%s", name);
        snprintf(to, sizeof to, "%s/%s", folder, name);
        scratch_same(from, to);
    }
}

/* The file that a path or a journal's line is about; STAGED_LARGE, STAGED_SMALL: none. */
static int find_large(const char *text)
{
    int i = 0;
    while (i < STAGED_LARGE && !strstr(text, large[i].name))
        i++;
    return i;
}

static int find_small(const char *text)
{
    const char *at = strstr(text, "small/");
    return at ? atoi(at + strlen("small/")) : STAGED_SMALL;
}

/* --- what a journal says --- */

static void take_large(struct known *k, int i, const char *verb, int part)
{
    if (strcmp(verb, "begin") == 0) {
        memset(k->parts[i], 0, sizeof k->parts[i]);
        k->done[i] = false;
    } else if (strcmp(verb, "part") == 0) {
        assert_in_range(part, 0, large[i].parts - 1);
        k->parts[i][part] = true;
    } else if (strcmp(verb, "done") == 0) {
        k->done[i] = true;
    }
}

static void take_line(struct known *k, const char *line)
{
    char verb[10] = "", name[400] = "";
    int part = 0;
    if (sscanf(line, "%9s %399s %d", verb, name, &part) < 2 || !strchr(line, '\n'))
        return; /* the half of a line that a kill left */
    if (find_large(name) < STAGED_LARGE)
        take_large(k, find_large(name), verb, part);
    else if (find_small(name) < STAGED_SMALL)
        k->small_done[find_small(name)] = strcmp(verb, "done") == 0;
}

void known_read(struct known *k, const char *pattern)
{
    glob_t found;
    char line[8192];
    *k = (struct known){0};
    if (glob(pattern, 0, NULL, &found) != 0)
        return;
    assert_int_equal(found.gl_pathc, 1);
    FILE *f = fopen(found.gl_pathv[0], "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f))
        take_line(k, line);
    fclose(f);
    globfree(&found);
}

int known_parts(const struct known *k)
{
    int n = 0;
    for (int i = 0; i < STAGED_LARGE; i++)
        for (int p = 0; p < large[i].parts; p++)
            n += k->parts[i][p];
    return n;
}

int known_files(const struct known *k)
{
    int n = 0;
    for (int i = 0; i < STAGED_LARGE; i++)
        n += k->done[i];
    for (int i = 0; i < STAGED_SMALL; i++)
        n += k->small_done[i];
    return n;
}

/* Parts at the beginning that are all there. */
static int leading(const struct known *k, int i)
{
    int n = 0;
    while (n < large[i].parts && k->parts[i][n])
        n++;
    return n;
}

/* --- what was moved --- */

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static uint64_t bytes_of(const json_t *request, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(request, key));
}

/* A part that is there, as are all before it, is not read; but the last one is, to compare the hash of the
 * whole. */
static void check_read(const struct known *k, int i, unsigned long long begin)
{
    int part = (int)(begin / STAGED_PART);
    if (k->done[i] || (part < leading(k, i) && part < large[i].parts - 1))
        fail_msg("%s: part %d was read again", large[i].name, part);
}

/* But for the one byte by which `stage` tries whether it may read at all. */
static uint64_t take_read(const struct known *k, int i, const json_t *request)
{
    unsigned long long begin = 0, last = 0;
    const char *range = text_of(json_object_get(request, "headers"), "range");
    assert_int_equal(sscanf(range, "bytes=%llu-%llu", &begin, &last), 2);
    if (begin == last)
        return 0;
    check_read(k, i, begin);
    return bytes_of(request, "sent");
}

static void check_part(const struct known *k, int i, int part)
{
    assert_in_range(part, 0, large[i].parts - 1);
    if (k->done[i] || k->parts[i][part])
        fail_msg("%s: part %d was stored again", large[i].name, part);
}

/* Bytes for a session, or a question without any. The last part goes with the seal, which may not have come.
 */
static void check_session(const struct known *k, int i, const char *range)
{
    unsigned long long begin = 0;
    int sent = leading(k, i) < large[i].parts ? leading(k, i) : large[i].parts - 1;
    if (sscanf(range, "bytes %llu-", &begin) == 1 &&
        (k->done[i] || begin < (unsigned long long)sent * STAGED_PART))
        fail_msg("%s: was sent again from byte %llu", large[i].name, begin);
}

static void check_large(const struct known *k, int i, const json_t *request, struct moved *m)
{
    const char *path = text_of(request, "path"), *number = strstr(path, "partNumber=");
    const json_t *headers = json_object_get(request, "headers");
    if (strcmp(text_of(request, "host"), "cdn") == 0) {
        m->fetched += take_read(k, i, request);
    } else if (strcmp(text_of(request, "method"), "PUT") == 0) {
        if (number)
            check_part(k, i, atoi(number + strlen("partNumber=")) - 1);
        else
            check_session(k, i, text_of(headers, "content-range"));
        m->sent += bytes_of(request, "body");
    }
}

int moved_add(struct moved *m, const struct emulator *e, const struct known *before)
{
    json_t *log = emulator_log(e), *request;
    size_t i;
    json_array_foreach(log, i, request)
    {
        const char *path = text_of(request, "path");
        int small = find_small(path);
        if (find_large(path) < STAGED_LARGE)
            check_large(before, find_large(path), request, m);
        else if (strstr(path, "/resolve/") && small < STAGED_SMALL && before->small_done[small])
            fail_msg("%s was read again", path);
    }
    int count = (int)json_array_size(log);
    json_decref(log);
    return count;
}
