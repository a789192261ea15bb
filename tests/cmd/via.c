#include "via.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char *ferry, *tests_folder; /* the program; tests/ of the sources */
static struct scratch scratch;

bool via_arguments(int argc, char **argv)
{
    if (argc != 3)
        return false;
    ferry = argv[1];
    tests_folder = argv[2];
    return true;
}

int via_start(void **state)
{
    scratch_start(&scratch, ferry);
    staged_make();
    *state = &scratch;
    return 0;
}

int via_end(void **state)
{
    scratch_end(*state);
    return 0;
}

void via_add_tiny(void)
{
    char command[1000];
    snprintf(command, sizeof command,
             "mkdir -p hub/owner/tiny && cp '%s/data/models/tiny-qwen2-audio'/* hub/owner/tiny && "
             "chmod -R u+w hub/owner/tiny",
             tests_folder);
    assert_int_equal(system(command), 0);
}

int via_requests(const struct scratch *s, const char *method, const char *path)
{
    return emulator_count(&s->emulator, method, path, 0).requests;
}

const char *via_logged(const struct scratch *s, const char *words)
{
    static char text[4 << 20];
    FILE *f = fopen(s->emulator.log, "r");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    text[n] = 0;
    fclose(f);
    return strstr(text, words);
}

void via_wait_for(const struct scratch *s, const char *words)
{
    for (int i = 0; !via_logged(s, words); i++) {
        if (i == 3000)
            fail_msg("%s is not logged", words);
        usleep(20000);
    }
}

void via_start_slow(struct scratch *s, struct program *p, const char *const *words)
{
    emulator_faults(&s->emulator, "{\"faults\":[{\"host\":\"cdn\",\"method\":\"GET\",\"times\":0,\"do\":{"
                                  "\"bytes_per_second\":5000000}}]}");
    program_start(p, ferry, words);
}

void via_expect_staged(struct scratch *s)
{
    scratch_ok(s, "stage", "--check", "--deep", VIA_TARGET);
    scratch_ok(s, "ls", "-r", VIA_TARGET);
    if (strstr(s->last.out, ".ferry/"))
        fail_msg("left: %s", s->last.out);
}

void via_expect_problem(const struct scratch *s, int code, const char *words)
{
    if (code == 0 || !strstr(s->last.err, words))
        fail_msg("code %d, %s is not in: %s", code, words, s->last.err);
}

void via_expect_refused(struct scratch *s, const char *way, const struct via_refusal *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *words[12] = {"stage", "owner/name", VIA_TARGET, "--via", way, "--yes"};
        memcpy(words + 6, rows[i].words, sizeof rows[i].words);
        via_expect_problem(s, scratch_run_words(s, NULL, words), rows[i].problem);
    }
}
