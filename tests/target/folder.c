#include "folder.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

void folder_make(char path[FOLDER_PATH])
{
    const char *temporary = getenv("TMPDIR");
    snprintf(path, FOLDER_PATH, "%s/ferry-target-XXXXXX", temporary ? temporary : "/tmp");
    assert_non_null(mkdtemp(path));
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *f)
{
    (void)st, (void)kind, (void)f;
    return remove(path);
}

void folder_remove(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *folder_path(const char *folder, const char *name)
{
    static char paths[8][2 * FOLDER_PATH];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

void folder_write(const char *path, const void *bytes, size_t size)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

void *folder_read(const char *path, size_t *size)
{
    struct stat st;
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("%s is not there", path);
    assert_int_equal(fstat(fileno(f), &st), 0);
    char *bytes = malloc((size_t)st.st_size + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, (size_t)st.st_size, f), st.st_size);
    bytes[st.st_size] = 0;
    fclose(f);
    *size = (size_t)st.st_size;
    return bytes;
}

int folder_shell(char *out, size_t room, const char *format, ...)
{
    char command[4096], rest[4096];
    va_list args;
    va_start(args, format);
    assert_true(vsnprintf(command, sizeof command, format, args) < (int)sizeof command);
    va_end(args);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    size_t n = out ? fread(out, 1, room - 1, f) : 0;
    if (out)
        out[n] = 0;
    while (fread(rest, 1, sizeof rest, f) > 0)
        continue;
    int status = pclose(f);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
