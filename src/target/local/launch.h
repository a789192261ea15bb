/* launch.h: the activator as a process of its own. */
#ifndef FERRY_TARGET_LOCAL_LAUNCH_H
#define FERRY_TARGET_LOCAL_LAUNCH_H

#include "target/local/activator.h"

/* Starts it in the background: a session of its own, no terminal, none of this process's other descriptors.
 * Returns when requests are taken. lock: the service's, which goes over to it; not_for_it: a descriptor that
 * it must not keep. Takes over what activator_run does, and lock. */
bool launch_activator(struct activator_options *o, int lock, int not_for_it, struct err *e);

#endif
