/* The helper itself: what a C test relies on. */
#include "net/http.h"
#include "run_emulator.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { SIZE = 100000 };

static char sent[SIZE], got[SIZE];
static struct http *http;

static int status_of(const struct emulator *m, const char *method, const char *path, size_t body)
{
    char url[300];
    struct http_reply r;
    struct err e = {0};
    snprintf(url, sizeof url, "%s%s", emulator_url(m), path);
    struct http_request q = {.method = method,
                             .url = url,
                             .bearer = getenv("FERRY_ACCESS_TOKEN"),
                             .body = body ? sent : NULL,
                             .body_size = body,
                             .into = got,
                             .into_room = sizeof got};
    return http_send(http, &q, &r, &e) ? r.status : -1;
}

static const char *const upload = "/upload/storage/v1/b/bkt/o?uploadType=media&name=x";
static const char *const media = "/storage/v1/b/bkt/o/x?alt=media";

static void set_up(struct emulator *m, const struct emulator_options *o)
{
    for (size_t i = 0; i < SIZE; i++)
        sent[i] = (char)(i * 31 >> 3);
    memset(got, 0, sizeof got);
    emulator_start(m, o);
    emulator_setenv(m);
}

static void state_and_ports_outlive_a_kill(void **state)
{
    (void)state;
    struct emulator m;
    set_up(&m, &(struct emulator_options){.bucket = "bkt"});
    int port = m.port, cdn_port = m.cdn_port;
    assert_int_equal(status_of(&m, "POST", upload, SIZE), 200);
    emulator_kill(&m);
    assert_int_equal(status_of(&m, "GET", media, 0), -1);
    emulator_restart(&m);
    assert_int_equal(m.port, port);
    assert_int_equal(m.cdn_port, cdn_port);
    assert_int_equal(status_of(&m, "GET", media, 0), 200);
    assert_memory_equal(got, sent, SIZE);
    emulator_stop(&m);
    assert_int_not_equal(access(m.data, F_OK), 0);
}

static void what_moved_is_counted(void **state)
{
    (void)state;
    struct emulator m;
    set_up(&m, &(struct emulator_options){.bucket = "bkt"});
    assert_int_equal(status_of(&m, "POST", upload, SIZE), 200);
    assert_int_equal(status_of(&m, "GET", media, 0), 200);
    assert_int_equal(status_of(&m, "GET", "/storage/v1/b/none", 0), 404);
    struct emulator_count up = emulator_count(&m, "POST", "/upload/*", 200);
    struct emulator_count down = emulator_count(&m, NULL, "*alt=media*", 0);
    assert_int_equal(up.requests, 1);
    assert_int_equal(up.body, SIZE);
    assert_int_equal(down.requests, 1);
    assert_int_equal(down.sent, SIZE);
    assert_int_equal(emulator_count(&m, NULL, NULL, 404).requests, 1);
    emulator_log_clear(&m);
    assert_int_equal(emulator_count(&m, NULL, NULL, 0).requests, 0);
    emulator_stop(&m);
}

static void faults_begin_and_end_when_told(void **state)
{
    (void)state;
    struct emulator m;
    set_up(&m, &(struct emulator_options){.bucket = "bkt", .faults = "forbidden"});
    assert_int_equal(status_of(&m, "POST", upload, 10), 403);
    emulator_faults(&m, NULL);
    assert_int_equal(status_of(&m, "POST", upload, SIZE), 200);
    emulator_faults(&m, "reset-while-reading");
    assert_int_equal(status_of(&m, "GET", media, 0),
                     200); /* it is not longer than the 100,000 bytes that pass */
    emulator_faults(&m,
                    "{\"faults\": [{\"path\": \"*\", \"do\": {\"after_bytes\": 10, \"then\": \"reset\"}}]}");
    assert_int_equal(status_of(&m, "GET", media, 0), -1);
    json_t *log = emulator_log(&m), *last = json_array_get(log, json_array_size(log) - 1);
    assert_string_equal(json_string_value(json_object_get(last, "fault")), "(text)");
    assert_null(strstr(json_string_value(json_object_get(json_object_get(last, "headers"), "authorization")),
                       EMULATOR_TOKEN));
    json_decref(log);
    emulator_stop(&m);
}

/* In a process of its own, since it is meant to fail. How it ended: 0, or the signal. */
static int end_after(const char *path, bool meant)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        struct emulator m;
        if (!freopen("/dev/null", "w", stderr))
            _exit(1);
        set_up(&m, &(struct emulator_options){.bucket = "bkt"});
        status = status_of(&m, "GET", path, 0);
        if (meant)
            emulator_forget_invalid(&m);
        emulator_stop(&m);
        _exit(status == 200 || status == 400 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

static void request_that_google_does_not_describe_fails_the_test_that_sent_it(void **state)
{
    (void)state;
    assert_int_equal(end_after("/storage/v1/b/bkt?projection=noAcl", false), 0);
    assert_int_equal(end_after("/storage/v1/b/bkt?projection=some", false), SIGABRT);
    assert_int_equal(end_after("/storage/v1/b/bkt?projection=some", true), 0);
}

int main(void)
{
    struct err e = {0};
    signal(SIGPIPE, SIG_IGN);
    http = http_new(&e);
    if (!http)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(state_and_ports_outlive_a_kill),
        cmocka_unit_test(what_moved_is_counted),
        cmocka_unit_test(faults_begin_and_end_when_told),
        cmocka_unit_test(request_that_google_does_not_describe_fails_the_test_that_sent_it),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    http_free(http);
    return failed;
}
