/* headers.h: the headers of an answer as text, "name: value\n"…, names in lower case.
 *
 * What does not fit is left out whole, what is not of the form "name: value" is passed over. One thread. */
#ifndef FERRY_NET_PARSE_HEADERS_H
#define FERRY_NET_PARSE_HEADERS_H

#include <stdbool.h>
#include <stddef.h>

/* One line as it came (with or without its line break), behind the text in out (room bytes). A status line
 * ("HTTP/1.1 200 OK") begins a new answer: what an interim one (100, 103) said is forgotten. */
void headers_add(char *out, size_t room, const char *line, size_t size);

/* The first header of that name (in lower case) copied into out (room bytes, cut); NULL: none. */
const char *headers_find(const char *headers, const char *name, char *out, size_t room);

/* True when name and value can stand in a request: RFC 9110's token, and no control character. */
bool header_sendable(const char *name, const char *value);

#endif
