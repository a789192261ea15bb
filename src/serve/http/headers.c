#include "serve/http/headers.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

bool header_has_key(const char *authorization, const char *key)
{
    if (!authorization || strncasecmp(authorization, "Bearer ", 7) != 0)
        return false;
    const char *given = authorization + 7;
    size_t given_size = strlen(given), key_size = strlen(key);
    unsigned char differs = given_size != key_size;
    for (size_t i = 0; i < given_size; i++)
        differs |= (unsigned char)(given[i] ^ key[i % key_size]);
    return differs == 0;
}

bool header_is_type(const char *header, const char *type)
{
    size_t n = strlen(type);
    if (!header || strncasecmp(header, type, n) != 0)
        return false;
    return header[n] == '\0' || header[n] == ';' || header[n] == ' ' || header[n] == '\t';
}

bool header_accepts(const char *accept, const char *type)
{
    size_t n = strlen(type);
    while (accept && *accept) {
        accept += strspn(accept, ", \t");
        size_t length = strcspn(accept, ",; \t");
        if (length == n && strncasecmp(accept, type, n) == 0)
            return true;
        accept += strcspn(accept, ",");
    }
    return false;
}

static bool take_trace(const char *from, char trace[33])
{
    size_t n = 0;
    while (n < 32 && isxdigit((unsigned char)from[n])) {
        trace[n] = (char)tolower((unsigned char)from[n]);
        n++;
    }
    bool whole = n == 32 && !isalnum((unsigned char)from[n]);
    trace[whole ? n : 0] = '\0';
    return whole;
}

bool header_trace(const char *traceparent, const char *cloud, char trace[33])
{
    trace[0] = '\0';
    /* 00-<trace id>-<span id>-<flags>; <trace id>/<span id>;o=1 */
    if (traceparent && strlen(traceparent) >= 35 && traceparent[2] == '-' &&
        take_trace(traceparent + 3, trace))
        return true;
    return cloud && take_trace(cloud, trace);
}

long long header_length(const char *header)
{
    size_t n = header ? strspn(header, "0123456789") : 0;
    long long v = 0;
    if (n == 0 || n > 18 || header[n])
        return -1;
    for (size_t i = 0; i < n; i++)
        v = v * 10 + (header[i] - '0');
    return v;
}
