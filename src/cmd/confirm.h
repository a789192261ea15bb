/* confirm.h: asks before something is deleted or replaced. */
#ifndef FERRY_CMD_CONFIRM_H
#define FERRY_CMD_CONFIRM_H

#include "base/err.h"

#include <stdbool.h>

/* True when `yes` (--yes) says so already, or when the answer at the terminal is yes. Anything else is false
 * with *e (ERR_UNCONFIRMED) set; where there is no terminal to ask at, --yes is what to do. question: "delete
 * 13 objects?", one line. */
bool confirm(const char *question, bool yes, struct err *e);

#endif
