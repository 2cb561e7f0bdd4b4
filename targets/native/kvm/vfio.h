/* A PCI device under VFIO, as the platform device that the VMs see: registers, interrupt, window of its DMA. */
#ifndef BATON_VFIO_H
#define BATON_VFIO_H

#include "machine.h"

/* Opens the device `pci` (0000:00:05.0), which vfio-pci drives. Its DMA is off and its window empty. */
bool vfio_open(struct device *device, char *error);
/* Lets the device be a master of the bus, or not. What a device without leave wants to read or write is dropped. */
bool vfio_master(const struct device *device, bool on, char *error);
bool vfio_is_master(const struct device *device);
/* Gives the device a window: `bytes` of `memory` at `address`. Taking it away syncs the IOMMU's TLBs. */
bool vfio_window(const struct device *device, uint64_t address, void *memory, uint64_t bytes, bool writable, char *error);
bool vfio_close_window(const struct device *device, uint64_t address, uint64_t bytes, char *error);
/* Asks VFIO whether the window at `address` is there. Changes nothing. */
bool vfio_has_window(const struct device *device, uint64_t address);
/* Whether vfio_has_window tells the truth on this kernel; tried on a device without leave to be a master. */
bool vfio_can_ask(const struct device *device, char *error);
/* Forgets what the device signalled. Returns how many signals that were. */
uint64_t vfio_drain(const struct device *device);
bool vfio_has_signal(const struct device *device);
/* Takes back the mask that VFIO sets whenever a level interrupt fires. */
bool vfio_unmask(const struct device *device, char *error);

#endif
