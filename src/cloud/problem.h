/* problem.h: what an answer that is not 2xx says of itself. What it means in a person's words: cloud_explain.
 */
#ifndef FERRY_CLOUD_PROBLEM_H
#define FERRY_CLOUD_PROBLEM_H

#include <stdbool.h>

/* Each "" where the answer does not say. One line each. */
struct cloud_problem {
    char message[600];
    char reason[120];  /* ErrorInfo's, else the older APIs' ("forbidden"), else the status
                          ("PERMISSION_DENIED") */
    char service[120]; /* the API that is not enabled: "run.googleapis.com" */
};

/* Of JSON, of XML, or of any text, which is then the message. */
void cloud_problem_read(const char *body, struct cloud_problem *out);
bool cloud_problem_is_disabled_api(const struct cloud_problem *p);

#endif
