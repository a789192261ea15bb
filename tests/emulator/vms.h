/* vms.h: Compute Engine (v1), written from its description (tests/data/apis/compute-v1.json), from what the
 * real gcloud sends, and from what a machine of Container-Optimized OS sees.
 *
 * An instance runs the startup-script of its metadata, a process group on this machine, from the moment its
 * insert is done: with the commands in tests/emulator/vm before all others, whose docker runs the program of
 * the settings, whatever image is named, and whose curl finds Google here. What the script is told to write
 * to, its first argument, is the serial port. Any thread. */
#ifndef FERRY_EMULATOR_VMS_H
#define FERRY_EMULATOR_VMS_H

#include "exchange.h"

struct vms;
struct vms *vms_new(void);
void vms_free(struct vms *v); /* ends what runs */

/* captures: the project, the zone or region, the name */
void begin_compute(struct exchange *x);
void vm_insert(struct exchange *x);
void vm_read(struct exchange *x);
void vm_remove(struct exchange *x);
void vm_list(struct exchange *x); /* aggregated: of all zones */
void vm_serial(struct exchange *x);
void vm_attributes(struct exchange *x);
void vm_operation(struct exchange *x);
void compute_region(struct exchange *x);
void compute_zone(struct exchange *x);

/* The metadata server as that instance sees it; captures: its name, the path. */
void vm_metadata_get(struct exchange *x);
void vm_metadata_put(struct exchange *x);

#endif
