#include "scratch.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

void scratch_start(struct scratch *s, const char *ferry)
{
    char path[300];
    memset(s, 0, sizeof *s);
    s->ferry = ferry;
    snprintf(s->folder, sizeof s->folder, "%s/ferry-cmd-XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(s->folder));
    assert_int_equal(chdir(s->folder), 0);
    snprintf(path, sizeof path, "%s/state", s->folder);
    setenv("XDG_STATE_HOME", path, 1);
    setenv("NO_COLOR", "1", 1);
    assert_int_equal(mkdir("hub", 0700), 0);
    emulator_start(&s->emulator, &(struct emulator_options){.hub = "hub",
                                                            .bucket = SCRATCH_BUCKET,
                                                            .program = ferry,
                                                            .public_key = SCRATCH_PUBLIC_KEY,
                                                            .lfs_bytes = 100000});
    emulator_setenv(&s->emulator);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *f)
{
    (void)st, (void)kind, (void)f;
    return remove(path);
}

void scratch_end(struct scratch *s)
{
    emulator_stop(&s->emulator);
    assert_int_equal(chdir("/"), 0);
    nftw(s->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static FILE *create(const char *path)
{
    char folder[1024];
    for (const char *slash = path; (slash = strchr(slash, '/')); slash++) {
        snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
        mkdir(folder, 0700);
    }
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    return f;
}

void scratch_file(const char *path, size_t size, unsigned seed)
{
    uint64_t state = seed * 0x9e3779b97f4a7c15 + 1;
    FILE *f = create(path);
    while (size > 0) {
        uint64_t block[512];
        for (size_t i = 0; i < 512; i++) { /* xorshift64 */
            state ^= state << 13, state ^= state >> 7, state ^= state << 17;
            block[i] = state;
        }
        size_t n = size < sizeof block ? size : sizeof block;
        assert_int_equal(fwrite(block, 1, n, f), n);
        size -= n;
    }
    assert_int_equal(fclose(f), 0);
}

void scratch_text(const char *path, const char *text)
{
    FILE *f = create(path);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

void scratch_same(const char *a, const char *b)
{
    static char x[1 << 16], y[1 << 16];
    FILE *f = fopen(a, "rb"), *g = fopen(b, "rb");
    if (!f || !g)
        fail_msg("%s is not there", f ? b : a);
    for (size_t n = 1; n > 0;) {
        n = fread(x, 1, sizeof x, f);
        if (fread(y, 1, sizeof y, g) != n || memcmp(x, y, n) != 0)
            fail_msg("%s and %s differ", a, b);
    }
    fclose(f);
    fclose(g);
}

bool scratch_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

int scratch_run_words(struct scratch *s, const char *input, const char *const *words)
{
    program_run(s->ferry, words, input, &s->last);
    assert_null(strstr(s->last.err, EMULATOR_TOKEN));
    assert_null(strstr(s->last.err, EMULATOR_HF_TOKEN));
    return s->last.code;
}

void scratch_ok_words(struct scratch *s, const char *const *words)
{
    if (scratch_run_words(s, NULL, words) != 0 || *s->last.err)
        fail_msg("ferry %s %s …: code %d: %s", words[0], words[1], s->last.code, s->last.err);
}
