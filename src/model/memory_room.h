/* memory_room.h: how much memory this process can still take. */
#ifndef FERRY_MODEL_MEMORY_ROOM_H
#define FERRY_MODEL_MEMORY_ROOM_H

#include <stdint.h>

/* The least of what the kernel says is available and what the container's limit (cgroup v2 or v1) allows,
 * in bytes. UINT64_MAX where the system tells neither. */
uint64_t memory_room(void);

#endif
