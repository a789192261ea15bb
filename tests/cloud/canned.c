#include "canned.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

enum { MAX_EXCHANGES = 64, REQUEST_ROOM = 1 << 20 };

struct canned {
    int listener;
    char url[64];
    pthread_t thread;
    pthread_mutex_t mutex; /* of what follows */
    char *answers[MAX_EXCHANGES];
    char *requests[MAX_EXCHANGES];
    int answer_count, told, request_count;
};

/* Until head and Content-Length bytes of body are there. Answers their number, 0 when nothing came. */
static size_t read_request(int fd, char *request)
{
    size_t size = 0;
    for (ssize_t n; size + 1 < REQUEST_ROOM && (n = read(fd, request + size, REQUEST_ROOM - 1 - size)) > 0;) {
        request[size += (size_t)n] = 0;
        const char *end = strstr(request, "\r\n\r\n"), *length = strcasestr(request, "\r\nContent-Length: ");
        size_t body = length && length < end ? strtoul(length + 18, NULL, 10) : 0;
        if (end && size >= (size_t)(end + 4 - request) + body)
            return size;
    }
    return size;
}

static const char keep[] = "Connection: keep-alive\r\n";

/* One request and its answer. True: another may follow on this connection. */
static bool serve(struct canned *c, int fd, char *request)
{
    size_t size = read_request(fd, request);
    char *answer = NULL;
    if (size == 0)
        return false;
    pthread_mutex_lock(&c->mutex);
    if (c->request_count < MAX_EXCHANGES && (c->requests[c->request_count] = malloc(size + 1)))
        memcpy(c->requests[c->request_count++], request, size + 1);
    if (c->told < c->answer_count)
        answer = strdup(c->answers[c->told++]);
    pthread_mutex_unlock(&c->mutex);
    static const char none[] =
        "HTTP/1.1 418 Nothing canned\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    const char *text = answer ? answer : none;
    for (size_t sent = 0, all = strlen(text); sent < all;) {
        ssize_t n = send(fd, text + sent, all - sent, MSG_NOSIGNAL);
        if (n <= 0)
            break;
        sent += (size_t)n;
    }
    bool kept = strstr(text, keep) != NULL;
    free(answer);
    return kept;
}

static void *serve_all(void *arg)
{
    struct canned *c = arg;
    char *request = malloc(REQUEST_ROOM);
    for (int fd; request && (fd = accept(c->listener, NULL, NULL)) >= 0;) {
        while (serve(c, fd, request))
            continue;
        shutdown(fd, SHUT_WR);
        while (read(fd, request, REQUEST_ROOM) > 0) /* so that no reset overtakes the answer */
            continue;
        close(fd);
    }
    free(request);
    return NULL;
}

struct canned *canned_start(void)
{
    struct canned *c = calloc(1, sizeof *c);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    assert_non_null(c);
    c->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(c->listener, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(c->listener, 16), 0);
    assert_int_equal(getsockname(c->listener, (struct sockaddr *)&a, &size), 0);
    snprintf(c->url, sizeof c->url, "http://127.0.0.1:%d", ntohs(a.sin_port));
    pthread_mutex_init(&c->mutex, NULL);
    assert_int_equal(pthread_create(&c->thread, NULL, serve_all, c), 0);
    return c;
}

void canned_forget(struct canned *c)
{
    pthread_mutex_lock(&c->mutex);
    for (int i = 0; i < c->answer_count; i++)
        free(c->answers[i]);
    for (int i = 0; i < c->request_count; i++)
        free(c->requests[i]);
    c->answer_count = c->told = c->request_count = 0;
    pthread_mutex_unlock(&c->mutex);
}

void canned_stop(struct canned *c)
{
    shutdown(c->listener, SHUT_RDWR);
    pthread_join(c->thread, NULL);
    close(c->listener);
    canned_forget(c);
    pthread_mutex_destroy(&c->mutex);
    free(c);
}

const char *canned_url(const struct canned *c)
{
    return c->url;
}

void canned_raw(struct canned *c, const char *bytes)
{
    pthread_mutex_lock(&c->mutex);
    assert_true(c->answer_count < MAX_EXCHANGES);
    c->answers[c->answer_count++] = strdup(bytes);
    pthread_mutex_unlock(&c->mutex);
}

void canned_answer(struct canned *c, int status, const char *headers, const char *body)
{
    char *text = NULL;
    assert_true(asprintf(&text, "HTTP/1.1 %d Canned\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n%s",
                         status, strlen(body), headers ? headers : "", body) > 0);
    canned_raw(c, text);
    free(text);
}

void canned_kept(struct canned *c, int status, const char *body)
{
    char *text = NULL;
    assert_true(asprintf(&text, "HTTP/1.1 %d Canned\r\n%sContent-Length: %zu\r\n\r\n%s", status, keep,
                         strlen(body), body) > 0);
    canned_raw(c, text);
    free(text);
}

int canned_count(struct canned *c)
{
    pthread_mutex_lock(&c->mutex);
    int n = c->request_count;
    pthread_mutex_unlock(&c->mutex);
    return n;
}

const char *canned_request(struct canned *c, int i)
{
    pthread_mutex_lock(&c->mutex);
    const char *text = i < c->request_count ? c->requests[i] : "";
    pthread_mutex_unlock(&c->mutex);
    return text;
}

const char *canned_body(struct canned *c, int i)
{
    const char *end = strstr(canned_request(c, i), "\r\n\r\n");
    return end ? end + 4 : "";
}

void canned_environment(const struct canned *c)
{
    static const char *const gone[] = {"http_proxy",
                                       "HTTP_PROXY",
                                       "https_proxy",
                                       "HTTPS_PROXY",
                                       "ALL_PROXY",
                                       "all_proxy",
                                       "FERRY_ACCESS_TOKEN",
                                       "FERRY_ACCESS_TOKEN_FILE",
                                       "GOOGLE_APPLICATION_CREDENTIALS",
                                       "GOOGLE_CLOUD_QUOTA_PROJECT",
                                       "GOOGLE_CLOUD_PROJECT",
                                       "GCLOUD_PROJECT",
                                       "STORAGE_EMULATOR_HOST",
                                       "GCE_METADATA_IP",
                                       "GCE_METADATA_ROOT",
                                       "GCE_METADATA_TIMEOUT",
                                       "NO_GCE_CHECK",
                                       "CLOUDSDK_CORE_PROJECT",
                                       "CLOUDSDK_ACTIVE_CONFIG_NAME",
                                       "CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT",
                                       "FERRY_IDENTITY_TOKEN",
                                       "HF_TOKEN",
                                       "HUGGING_FACE_HUB_TOKEN",
                                       "HF_TOKEN_PATH",
                                       "HF_HUB_OFFLINE",
                                       "HF_HUB_DISABLE_IMPLICIT_TOKEN"};
    static const char *const apis[] = {"FERRY_ENDPOINT_STORAGE",      "FERRY_ENDPOINT_OAUTH2",
                                       "FERRY_ENDPOINT_RUN",          "FERRY_ENDPOINT_ARTIFACTREGISTRY",
                                       "FERRY_ENDPOINT_IAM",          "FERRY_ENDPOINT_IAMCREDENTIALS",
                                       "FERRY_ENDPOINT_SERVICEUSAGE", "FERRY_ENDPOINT_CLOUDRESOURCEMANAGER",
                                       "FERRY_ENDPOINT_COMPUTE",      "FERRY_ENDPOINT_LOGGING",
                                       "FERRY_ENDPOINT_SECRETMANAGER"};
    const char *host = c->url + strlen("http://");
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
        unsetenv(gone[i]);
    setenv("CLOUDSDK_CONFIG", "/nonexistent/gcloud", 1);
    setenv("HF_HOME", "/nonexistent/huggingface", 1);
    for (size_t i = 0; i < sizeof apis / sizeof *apis; i++)
        setenv(apis[i], c->url, 1);
    setenv("HF_ENDPOINT", c->url, 1);
    setenv("GCE_METADATA_HOST", host, 1);
}
