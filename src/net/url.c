#include "net/url.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool unreserved(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("-._~", c));
}

static char *encode(struct arena *a, const char *text, bool keep_slashes)
{
    static const char hex[] = "0123456789ABCDEF";
    char *url = arena_alloc(a, strlen(text) + 1, 3);
    if (!url)
        return NULL;
    char *out = url;
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (unreserved(*c) || (keep_slashes && *c == '/')) {
            *out++ = (char)*c;
        } else {
            *out++ = '%';
            *out++ = hex[*c >> 4];
            *out++ = hex[*c & 15];
        }
    }
    return url; /* the arena zeroed what follows */
}

char *url_segment(struct arena *a, const char *text)
{
    return encode(a, text, false);
}

char *url_path(struct arena *a, const char *text)
{
    return encode(a, text, true);
}

/* What an URL never contains as it stands; a line break would begin a header of its own. */
static bool has_control_or_space(const char *url)
{
    for (const unsigned char *c = (const unsigned char *)url; *c; c++) {
        if (*c <= ' ' || *c == 0x7f)
            return true;
    }
    return false;
}

/* ":PORT", ":" or nothing. */
static bool parse_port(const char *text, size_t size, unsigned *port)
{
    if (size == 0)
        return true;
    if (*text != ':' || size > 6)
        return false;
    unsigned read = 0;
    for (size_t i = 1; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        read = read * 10 + (unsigned)(text[i] - '0');
    }
    if (size > 1)
        *port = read;
    return *port > 0 && *port <= 65535;
}

/* How many bytes of "host" or "[v6]" stand there; 0: none that any reader of URLs would agree on. Names and
 * passwords ("@") and "\" are what readers disagree on. */
static size_t host_length(const char *text, size_t size)
{
    static const char odd[] = "@\\<>\"^`{|}[]%";
    size_t n = 0;
    if (size && *text == '[') {
        n = strspn(text, "[0123456789abcdefABCDEF:.");
        return n < size && text[n] == ']' && n > 2 && !memchr(text + 1, '[', n - 1) ? n + 1 : 0;
    }
    while (n < size && text[n] != ':' && !strchr(odd, text[n]))
        n++;
    return n;
}

static void lower(char *text)
{
    for (; *text; text++)
        *text = *text >= 'A' && *text <= 'Z' ? (char)(*text + 'a' - 'A') : *text;
}

bool url_origin(const char *url, char *out, size_t room)
{
    bool tls = strncasecmp(url, "https://", 8) == 0;
    if ((!tls && strncasecmp(url, "http://", 7) != 0) || has_control_or_space(url))
        return false;

    const char *host = url + (tls ? 8 : 7);
    size_t size = strcspn(host, "/?#"), host_size = host_length(host, size);
    unsigned usual = tls ? 443 : 80, port = usual;
    if (host_size == 0 || !parse_port(host + host_size, size - host_size, &port))
        return false;

    const char *scheme = tls ? "https" : "http";
    int n = port == usual ? snprintf(out, room, "%s://%.*s", scheme, (int)host_size, host)
                          : snprintf(out, room, "%s://%.*s:%u", scheme, (int)host_size, host, port);
    if (n < 0 || (size_t)n >= room)
        return false;
    lower(out);
    return true;
}

bool url_same_origin(const char *a, const char *b)
{
    char origin_a[URL_ORIGIN_BYTES], origin_b[URL_ORIGIN_BYTES];
    return url_origin(a, origin_a, sizeof origin_a) && url_origin(b, origin_b, sizeof origin_b) &&
           strcmp(origin_a, origin_b) == 0;
}

char *url_bare(struct arena *a, const char *url)
{
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    for (const char *at; (at = memchr(host, '@', strcspn(host, "/?#")));)
        host = at + 1;
    const char *scheme_end = strstr(url, "://");
    int scheme = scheme_end ? (int)(scheme_end + 3 - url) : 0;
    return arena_printf(a, "%.*s%.*s", scheme, url, (int)strcspn(host, "?#"), host);
}
