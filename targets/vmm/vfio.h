/*
 * A PCI device under VFIO, which the VMs see as a platform device: registers, interrupt, and the IOMMU domain of its
 * DMA. A domain is a VFIO container, given by its descriptor.
 */
#ifndef BATON_VFIO_H
#define BATON_VFIO_H

#include "machine.h"

/* Opens the domain of a VM: `bytes` of its RAM at RAM_BASE, for reading and writing. It needs a keeper (vfio.c). */
bool vfio_domain_open(struct domain *domain, void *memory, uint64_t bytes, char *error);
/* Closes a domain. No device may be in it. */
void vfio_domain_close(struct domain *domain);

/* Opens the device `pci` (0000:00:05.0), which vfio-pci drives, in its own empty domain, with its DMA off. */
bool vfio_open(struct device *device, char *error);
/*
 * Moves the device's stream to another domain, with its DMA off. The device is closed and reopened: its remaining DMA
 * is dropped, and its interrupts keep their descriptors. After a failure it is closed, and the call may be repeated.
 */
bool vfio_enter(struct device *device, int container, char *error);
/* Switches the device's bus mastering. While it is off, its DMA is dropped. */
bool vfio_master(const struct device *device, bool on, char *error);
bool vfio_is_master(const struct device *device);
/* Maps `bytes` of `memory` at `address` in a domain, or unmaps them, which syncs the IOMMU's TLBs. */
bool vfio_map(int container, uint64_t address, void *memory, uint64_t bytes, bool writable, char *error);
bool vfio_unmap(int container, uint64_t address, uint64_t bytes, char *error);
/* Asks VFIO whether the domain has a mapping at `address`. Changes nothing. */
bool vfio_has(int container, uint64_t address);
/* Whether vfio_has works on this kernel; tried in the device's own domain. */
bool vfio_can_ask(const struct device *device, char *error);
/* Drains the device's signals. Returns their number. */
uint64_t vfio_drain(const struct device *device);
bool vfio_has_signal(const struct device *device);
/* Unmasks the line, which VFIO masks whenever a level interrupt fires. */
bool vfio_unmask(const struct device *device, char *error);

#endif
