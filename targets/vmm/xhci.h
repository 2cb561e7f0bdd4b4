/* QEMU's USB host controller `qemu-xhci`, which guests drive as a platform device (generic-xhci). */
#ifndef BATON_XHCI_H
#define BATON_XHCI_H

#include "machine.h"

extern const struct model XHCI;

#endif
