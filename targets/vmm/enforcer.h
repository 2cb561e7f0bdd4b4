/* The enforcer's end of the channel to the host: hello, runs of calls, starts and exits (docs/PLATFORMS.md). */
#ifndef BATON_ENFORCER_H
#define BATON_ENFORCER_H

#include "port.h"

/* The channel to the host. */
extern struct port enforcer_port;

/* Tells a host that was there before this process that the VMs it knew are gone: a device does not tell it. */
void enforcer_begin(void);
/* Takes in a line of the host. */
void enforcer_take(char *line);
/* The host is gone; another may come. Runs go on. */
void enforcer_gone(void);
/* Goes on with runs, tells of ends of VMs and of refused accesses. Returns whether a run waits for its device. */
bool enforcer_turn(void);
/* Tells that a VM waits for its first instruction. */
void enforcer_tell_start(const struct vm *vm);

#endif
