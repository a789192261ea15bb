/* connection.h: what libmicrohttpd calls: a request's head, its body, its end; a connection's begin and end.
 * arg is the struct server everywhere. */
#ifndef FERRY_SERVE_HTTP_CONNECTION_H
#define FERRY_SERVE_HTTP_CONNECTION_H

#include <microhttpd.h>

enum MHD_Result connection_handle(void *arg, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data, size_t *size,
                                  void **state);
void connection_completed(void *arg, struct MHD_Connection *connection, void **state,
                          enum MHD_RequestTerminationCode how);
void connection_noted(void *arg, struct MHD_Connection *connection, void **state,
                      enum MHD_ConnectionNotificationCode what);

#endif
