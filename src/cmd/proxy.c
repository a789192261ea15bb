/* proxy.c: `ferry proxy`: a service's own port on this machine. */
#include "cmd/proxy.h"

#include "base/listen.h"
#include "base/stop.h"
#include "cmd/commands.h"
#include "cmd/google.h"
#include "cmd/interrupt.h"
#include "cmd/service_name.h"
#include "net/url.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ARENA_BYTES = 16 << 20, LOOK_MS = 200 };

struct proxy_settings {
    struct google_settings google; /* first: google_group */
    const char *host, *target, *api_key;
    int port;
};

static const struct option proxy_options[] = {
    {.name = "port",
     .letter = 'p',
     .type = OPTION_INT,
     .argument = "PORT",
     .env = "PORT",
     .preset = "8080",
     .max = 65535,
     .offset = offsetof(struct proxy_settings, port),
     .help = "to listen on; 0 takes a free one"},
    {.name = "host",
     .type = OPTION_TEXT,
     .argument = "ADDRESS",
     .preset = "127.0.0.1",
     .offset = offsetof(struct proxy_settings, host),
     .help = "to listen on; whoever reaches it asks in your name"},
    {.name = "target",
     .type = OPTION_TEXT,
     .argument = "TARGET",
     .offset = offsetof(struct proxy_settings, target),
     .help = "where the service is, when several targets have one of that name"},
    {.type = OPTION_TEXT,
     .env = "FERRY_API_KEY",
     .offset = offsetof(struct proxy_settings, api_key),
     .help = "the key that is sent for callers who bring none"},
};

/* What is asked for while it runs. */
struct proxy_run {
    struct target_run run;
    struct stores *stores; /* of the identity */
    struct proxy proxy;
    char origin[URL_ORIGIN_BYTES];
};

static bool find_service(struct proxy_run *x, const struct proxy_settings *s, const char *name,
                         struct target_service *found, struct err *e)
{
    struct google google = {0};
    bool ok =
        google_open(&google, &s->google, &x->run, e) && service_target(&x->run, name, s->target, found, e);
    google_close(&google);
    if (ok && !found->url)
        return err_set(e, ERR_BUSY, "%s has no address: %s", name,
                       found->problem ? found->problem : found->state);
    return ok && (url_origin(found->url, x->origin, sizeof x->origin) ||
                  err_set(e, ERR_CORRUPT, "%s: its address is no URL: %.200s", name, found->url));
}

/* Asked for once now, so that who may not is told before the port is there. */
static bool open_identity(struct proxy_run *x, const struct target_service *s, struct err *e)
{
    char token[IDENTITY_BYTES];
    if (!s->wants_identity)
        return true;
    bool ok = (x->stores = stores_new(0, e)) &&
              (x->proxy.identity = identity_new(stores_cloud(x->stores), s->url, e)) &&
              identity_get(x->proxy.identity, token, e);
    explicit_bzero(token, sizeof token);
    return ok || err_wrap(e, "%s is for callers that Google knows", s->name);
}

static bool open_proxy(struct proxy_run *x, const struct proxy_settings *s, const char *name, struct err *e)
{
    struct target_service found = {0};
    const char *key = NULL;
    if (!find_service(x, s, name, &found, e) || !service_key(&found, s->api_key, x->run.arena, &key, e) ||
        !open_identity(x, &found, e))
        return false;
    x->proxy.name = name;
    x->proxy.origin = x->origin;
    x->proxy.host = s->host;
    x->proxy.stop = x->run.stop;
    if (key && !(x->proxy.authorization = arena_printf(x->run.arena, "Bearer %s", key)))
        return err_set(e, ERR_MEMORY, "no memory");
    return (x->proxy.http = http_new(e)) != NULL;
}

static void announce(const struct proxy *p, const char *host, int port)
{
    const char *open = strchr(host, ':') ? "[" : "", *close = *open ? "]" : "";
    printf("%s is at http://%s%s%s:%d until Ctrl-C\n\n", p->name, open, host, close, port);
    printf("  curl http://%s%s%s:%d/v1/models\n", open, host, close, port);
    printf("  new OpenAI({ baseURL: \"http://%s%s%s:%d/v1\", apiKey: \"none\" })\n", open, host, close, port);
    fflush(stdout);
}

static bool serve(struct proxy_run *x, const struct proxy_settings *s, struct err *e)
{
    int port = s->port, fd = listen_on(s->host, &port, e);
    if (fd < 0)
        return err_wrap(e, "take another with --port, 0 for a free one");
    struct proxy_port *opened = proxy_port_open(&x->proxy, fd, e);
    if (!opened)
        return false;
    announce(&x->proxy, s->host, port);
    while (!stop_wanted(x->proxy.stop))
        nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000000L}, NULL);
    proxy_port_close(opened);
    return true;
}

static bool run_proxy(const struct command *c, char **args, int count, struct err *e)
{
    struct proxy_settings s = {0};
    struct operands o;

    if (!options_read(c, args, count, &s, &o, e))
        return false;
    if (o.help) {
        help_command(stdout, c);
        return true;
    }
    if (!o.count)
        return err_set(e, ERR_USAGE, "to which service? usage: ferry proxy %s", c->synopsis);
    signal(SIGPIPE, SIG_IGN); /* clients and services go away */
    struct proxy_run x = {.run = {.arena = arena_new(ARENA_BYTES), .stop = interrupt_watch()}};
    if (!x.run.arena)
        return err_set(e, ERR_MEMORY, "no memory");
    bool ok = open_proxy(&x, &s, o.items[0], e) && serve(&x, &s, e);
    http_free(x.proxy.http);
    identity_free(x.proxy.identity);
    stores_free(x.stores);
    arena_free(x.run.arena);
    return ok;
}

static const struct option_group proxy_group = {"Options", proxy_options,
                                                sizeof proxy_options / sizeof *proxy_options};
static const struct option_group *const proxy_groups[] = {&proxy_group, &google_group, NULL};

static const char *const proxy_examples[] = {
    "ferry proxy qwen",
    "then any OpenAI client with baseURL http://127.0.0.1:8080/v1",
    "ferry proxy qwen --port 9000",
    "on another port",
    NULL,
};

const struct command command_proxy = {
    .name = "proxy",
    .synopsis = "NAME [--port PORT]",
    .summary = "a private service on a port of this machine",
    .about = "Listens on a port of this machine and passes each request on to a service: to a private one on "
             "Cloud Run with your "
             "identity, which is renewed in time, and with the service's API key where it is known here and "
             "the caller "
             "brings none (or \"none\"). So any OpenAI client works unchanged. Streams pass as they come; a "
             "caller who goes "
             "away ends his request at the service. What fails on the way is answered as an error of "
             "OpenAI's form. Ctrl-C "
             "ends it.",
    .examples = proxy_examples,
    .groups = proxy_groups,
    .max_operands = 1,
    .run = run_proxy,
};
