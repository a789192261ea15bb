/* advice.h: what people stumble over in Google's answers, and the next step for each. Stateless. */
#ifndef FERRY_CLOUD_EXPLAIN_ADVICE_H
#define FERRY_CLOUD_EXPLAIN_ADVICE_H

/* status: of HTTP; reason and message: what the answer says, "" when it does not. "" : nothing to add. */
const char *advice_for(int status, const char *reason, const char *message);

#endif
