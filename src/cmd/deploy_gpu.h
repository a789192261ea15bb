/* deploy_gpu.h: why `ferry deploy` takes no GPU: Ferry's engine computes on CPUs. Who asks for one is told
 * where there is one, what it costs, and what would use it. */
#ifndef FERRY_CMD_DEPLOY_GPU_H
#define FERRY_CMD_DEPLOY_GPU_H

#include "base/err.h"
#include "plan/prices.h"
#include "plan/regions.h"

/* type: "nvidia-l4", "nvidia-rtx-pro-6000" (the accelerator's name on Cloud Run). Always false. */
bool deploy_gpu_refuse(const char *type, const struct region *here, const struct prices *p, struct err *e);

#endif
