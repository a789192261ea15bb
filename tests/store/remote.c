#include "remote.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct emulator remote;

int remote_start(const char *hub)
{
    const struct emulator_options o = {.bucket = BUCKET, .hub = hub, .lfs_bytes = 100000};
    emulator_start(&remote, &o);
    emulator_setenv(&remote);
    return 0;
}

int remote_stop(void)
{
    emulator_stop(&remote);
    return 0;
}

int remote_setup(void **state)
{
    static const struct retry_policy quick = {1, 20, 5, 20, 2};
    emulator_faults(&remote, NULL);
    if (scratch_setup(state) != 0)
        return -1;
    struct scratch *s = *state;
    cloud_set_retry(stores_cloud(s->stores), &quick);
    return 0;
}

int remote_teardown(void **state)
{
    emulator_faults(&remote, NULL);
    return scratch_teardown(state);
}

struct store *remote_open(struct scratch *s, const char *uri)
{
    struct uri u;
    struct err e = {0};
    struct store *store = uri_parse(&u, uri, s->arena, &e) ? stores_open(s->stores, &u, &e) : NULL;
    if (!store)
        fail_msg("%s: %s", uri, e.text);
    return store;
}

struct store *remote_bucket(struct scratch *s)
{
    return remote_open(s, "gs://" BUCKET);
}

void assert_error(const struct err *e, enum err_kind kind, const char *part)
{
    if (e->kind != kind || !strstr(e->text, part))
        fail_msg("kind %d: %s; expected kind %d: …%s…", e->kind, e->text, kind, part);
}
