/* baton-kvm's side of the enforcer library (enforcer/baton-enforcer.h). */
#ifndef BATON_PLATFORM_H
#define BATON_PLATFORM_H

#include <poll.h>
#include <stdbool.h>

#include "machine.h"

/* Opens the channel to the host at `address`. */
bool platform_open(const char *address, char *error);
struct pollfd platform_poll(void);
/*
 * Continues the host's orders, frees VMs whose end it acknowledged, and reports VMs that have ended. Returns whether a
 * run waits for its device.
 */
bool platform_serve(short events);
/* Reports that a VM waits for its first instruction. */
void platform_tell_start(const struct vm *vm);

#endif
