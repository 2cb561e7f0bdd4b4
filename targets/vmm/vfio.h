/*
 * A PCI device under VFIO, as the platform device that the VMs see: registers, interrupt, and the IOMMU domain that its
 * DMA goes through. A domain is a VFIO container, by its descriptor.
 */
#ifndef BATON_VFIO_H
#define BATON_VFIO_H

#include "machine.h"

/* Opens the domain of a VM: `bytes` of its RAM at RAM_BASE, for reading and writing. It needs a keeper (vfio.c). */
bool vfio_domain_open(struct domain *domain, void *memory, uint64_t bytes, char *error);
/* Takes it apart. No device may be in it. */
void vfio_domain_close(struct domain *domain);

/*
 * Opens the device `pci` (0000:00:05.0), which vfio-pci drives, in a domain of its own that has nothing in it. Its DMA
 * is off.
 */
bool vfio_open(struct device *device, char *error);
/*
 * Has the device's stream go through another domain, with its DMA off. It is closed and opened on the way: what it
 * still sends is dropped, its interrupts come to the same descriptors. After a failure it is closed, and this may be
 * tried again.
 */
bool vfio_enter(struct device *device, int container, char *error);
/* Lets the device be a master of the bus, or not. What a device without leave wants to read or write is dropped. */
bool vfio_master(const struct device *device, bool on, char *error);
bool vfio_is_master(const struct device *device);
/* Puts `bytes` of `memory` at `address` into a domain, or takes them out, which syncs the IOMMU's TLBs. */
bool vfio_map(int container, uint64_t address, void *memory, uint64_t bytes, bool writable, char *error);
bool vfio_unmap(int container, uint64_t address, uint64_t bytes, char *error);
/* Asks VFIO whether the domain has something at `address`. Changes nothing. */
bool vfio_has(int container, uint64_t address);
/* Whether vfio_has tells the truth on this kernel; tried in the device's own domain. */
bool vfio_can_ask(const struct device *device, char *error);
/* Forgets what the device signalled. Returns how many signals that were. */
uint64_t vfio_drain(const struct device *device);
bool vfio_has_signal(const struct device *device);
/* Takes back the mask that VFIO sets whenever a level interrupt fires. */
bool vfio_unmask(const struct device *device, char *error);

#endif
