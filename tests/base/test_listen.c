#include "base/listen.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void set_or_unset(const char *name, const char *value)
{
    if (value)
        setenv(name, value, 1);
    else
        unsetenv(name);
}

static void inherited_socket_is_that_of_sd_listen_fds(void **state)
{
    (void)state;
    char own[20], other[20];
    snprintf(own, sizeof own, "%d", getpid());
    snprintf(other, sizeof other, "%d", getppid());
    const struct {
        const char *pid, *count;
        int fd;
        const char *problem;
    } cases[] = {
        {own, "2", -1, "LISTEN_FDS: expected one socket to listen on"},
        {own, "0", -1, "LISTEN_FDS: expected one socket to listen on"},
        {own, "x", -1, "LISTEN_FDS: expected one socket to listen on"},
        {other, "1", -1, NULL}, /* meant for somebody else */
        {NULL, "1", -1, NULL},
        {own, NULL, -1, NULL},
        {NULL, NULL, -1, NULL},
        {own, "1", 3, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = {0};
        int fd = 77;
        set_or_unset("LISTEN_PID", cases[i].pid);
        set_or_unset("LISTEN_FDS", cases[i].count);
        set_or_unset("LISTEN_FDNAMES", "http");
        assert_int_equal(listen_inherited(&fd, &e), !cases[i].problem);
        assert_int_equal(fd, cases[i].fd);
        assert_string_equal(e.text, cases[i].problem ? cases[i].problem : "");
        assert_null(getenv("LISTEN_PID"));
        assert_null(getenv("LISTEN_FDS"));
        assert_null(getenv("LISTEN_FDNAMES"));
    }
}

static void adopted_socket_does_not_block_and_is_not_passed_on(void **state)
{
    (void)state;
    struct err e = {0};
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), port = 1;
    assert_false(listen_adopt(fd, &port, &e));
    assert_non_null(strstr(e.text, "no socket that listens for connections"));
    assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof any) | listen(fd, 1), 0);
    assert_true(listen_adopt(fd, &port, &e));
    assert_true(port > 1);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    close(fd);
    assert_false(listen_adopt(fd, &port, &e));
}

static void taken_port_is_named(void **state)
{
    (void)state;
    struct err e = {0};
    char expected[100];
    int port = 0, fd = listen_on("127.0.0.1", &port, &e);
    assert_true(fd >= 0 && port > 0);
    snprintf(expected, sizeof expected, "listen on 127.0.0.1 port %d: Address already in use", port);
    assert_int_equal(listen_on("127.0.0.1", &port, &e), -1);
    assert_string_equal(e.text, expected);
    close(fd);
    assert_int_equal(listen_on("no such host", &port, &e), -1);
    assert_int_equal(e.kind, ERR_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inherited_socket_is_that_of_sd_listen_fds),
        cmocka_unit_test(adopted_socket_does_not_block_and_is_not_passed_on),
        cmocka_unit_test(taken_port_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
