/* local.h: what this machine knows without asking anybody, and whether its credentials give a token. */
#ifndef FERRY_DOCTOR_ASK_LOCAL_H
#define FERRY_DOCTOR_ASK_LOCAL_H

#include "doctor/ask.h"

/* {"credentials":{…},"projects":[…],"proxies":[…],"machine":{…}}, a reference of the caller's; NULL: no
 * memory. connected: whether asking for a token makes sense. */
json_t *local_facts(const struct doctor_case *c, bool connected);

#endif
