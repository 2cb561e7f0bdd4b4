/* Safeguards of baton-kvm that a test switches off, one by one: its judges must notice each (sabotage.c). */
#ifndef BATON_SABOTAGE_H
#define BATON_SABOTAGE_H

#include <stdbool.h>

struct device;

/*
 * Switches a safeguard off (`on`) or on again: skip-unmap, skip-readback, skip-domain, skip-reset, skip-drain. False:
 * there is none of that name.
 */
bool sabotage(const char *name, bool on);
/* Whether the device has signalled and nobody took it, whatever is switched off. */
bool __real_vfio_has_signal(const struct device *device);

#endif
