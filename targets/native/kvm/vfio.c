/* A PCI device under VFIO (vfio.h). One container a device, so that each can have another holder. */
#define _GNU_SOURCE
#include "vfio.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096ULL
#define PCI_COMMAND 4
#define PCI_COMMAND_MEMORY 2
#define PCI_COMMAND_MASTER 4

static bool open_group(struct device *device, char *error)
{
	char link[64], target[128], path[160];
	snprintf(link, sizeof link, "/sys/bus/pci/devices/%s/iommu_group", device->pci);
	ssize_t length = readlink(link, target, sizeof target - 1);
	if (length < 0)
		return failed(error, "%s: no IOMMU group: read %s", device->name, link);
	target[length] = 0;
	snprintf(path, sizeof path, "/dev/vfio/%s", strrchr(target, '/') + 1);
	device->group = open(path, O_RDWR | O_CLOEXEC);
	if (device->group < 0)
		return failed(error, "%s: open %s", device->name, path);
	device->container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	if (device->container < 0)
		return failed(error, "%s: open /dev/vfio/vfio", device->name);
	if (ioctl(device->group, VFIO_GROUP_SET_CONTAINER, &device->container))
		return failed(error, "%s: VFIO_GROUP_SET_CONTAINER", device->name);
	if (ioctl(device->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		return failed(error, "%s: VFIO_SET_IOMMU", device->name);
	device->fd = ioctl(device->group, VFIO_GROUP_GET_DEVICE_FD, device->pci);
	return device->fd >= 0 || failed(error, "%s: VFIO_GROUP_GET_DEVICE_FD %s", device->name, device->pci);
}

static bool map_registers(struct device *device, char *error)
{
	struct vfio_region_info bar = { .argsz = sizeof bar, .index = VFIO_PCI_BAR0_REGION_INDEX };
	struct vfio_region_info config = { .argsz = sizeof config, .index = VFIO_PCI_CONFIG_REGION_INDEX };
	if (ioctl(device->fd, VFIO_DEVICE_GET_REGION_INFO, &bar) || ioctl(device->fd, VFIO_DEVICE_GET_REGION_INFO, &config))
		return failed(error, "%s: VFIO_DEVICE_GET_REGION_INFO", device->name);
	device->config_offset = config.offset;
	device->registers_bytes = bar.size;
	device->registers = mmap(NULL, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED, device->fd, (off_t)bar.offset);
	return device->registers != MAP_FAILED || failed(error, "%s: map its registers", device->name);
}

static bool set_interrupt(const struct device *device, uint32_t action, int fd, char *error)
{
	char bytes[sizeof(struct vfio_irq_set) + sizeof fd];
	struct vfio_irq_set set = { .argsz = sizeof bytes, .flags = action, .count = 1,
				    .index = device->level ? VFIO_PCI_INTX_IRQ_INDEX : VFIO_PCI_MSI_IRQ_INDEX };
	if (!(action & VFIO_IRQ_SET_DATA_EVENTFD))
		set.argsz = sizeof set;
	memcpy(bytes, &set, sizeof set);
	memcpy(bytes + sizeof set, &fd, sizeof fd);
	return ioctl(device->fd, VFIO_DEVICE_SET_IRQS, bytes) == 0 ||
	       failed(error, "%s: VFIO_DEVICE_SET_IRQS 0x%x", device->name, action);
}

static bool make_interrupt(struct device *device, char *error)
{
	device->interrupt = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	device->unmask = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (device->interrupt < 0 || device->unmask < 0)
		return failed(error, "%s: eventfd", device->name);
	return set_interrupt(device, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, device->interrupt, error) &&
	       (!device->level ||
		set_interrupt(device, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_UNMASK, device->unmask, error));
}

bool vfio_open(struct device *device, char *error)
{
	return open_group(device, error) && map_registers(device, error) && vfio_master(device, false, error) &&
	       make_interrupt(device, error);
}

bool vfio_master(const struct device *device, bool on, char *error)
{
	uint16_t command = on ? PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER : PCI_COMMAND_MEMORY;
	off_t at = (off_t)(device->config_offset + PCI_COMMAND);
	return pwrite(device->fd, &command, sizeof command, at) == sizeof command ||
	       failed(error, "%s: write its PCI command", device->name);
}

bool vfio_is_master(const struct device *device)
{
	uint16_t command = PCI_COMMAND_MASTER;
	ssize_t read = pread(device->fd, &command, sizeof command, (off_t)(device->config_offset + PCI_COMMAND));
	/* What cannot be read counts as the worse. */
	return read != sizeof command || (command & PCI_COMMAND_MASTER);
}

bool vfio_window(const struct device *device, uint64_t address, void *memory, uint64_t bytes, bool writable, char *error)
{
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof map, .vaddr = (uintptr_t)memory, .iova = address,
						.size = bytes, .flags = VFIO_DMA_MAP_FLAG_READ };
	if (writable)
		map.flags |= VFIO_DMA_MAP_FLAG_WRITE;
	return ioctl(device->container, VFIO_IOMMU_MAP_DMA, &map) == 0 ||
	       failed(error, "%s: VFIO_IOMMU_MAP_DMA at 0x%llx", device->name, (unsigned long long)address);
}

bool vfio_close_window(const struct device *device, uint64_t address, uint64_t bytes, char *error)
{
	struct vfio_iommu_type1_dma_unmap unmap = { .argsz = sizeof unmap, .iova = address, .size = bytes };
	return ioctl(device->container, VFIO_IOMMU_UNMAP_DMA, &unmap) == 0 ||
	       failed(error, "%s: VFIO_IOMMU_UNMAP_DMA at 0x%llx", device->name, (unsigned long long)address);
}

/* VFIO takes away whole windows only: asked for the second page of one, it refuses. Where there is none, nothing is done. */
bool vfio_has_window(const struct device *device, uint64_t address)
{
	struct vfio_iommu_type1_dma_unmap unmap = { .argsz = sizeof unmap, .iova = address + PAGE, .size = PAGE };
	return ioctl(device->container, VFIO_IOMMU_UNMAP_DMA, &unmap) != 0;
}

uint64_t vfio_drain(const struct device *device)
{
	uint64_t count = 0;
	return read(device->interrupt, &count, sizeof count) == sizeof count ? count : 0;
}

bool vfio_has_signal(const struct device *device)
{
	struct pollfd poll_one = { .fd = device->interrupt, .events = POLLIN };
	return poll(&poll_one, 1, 0) != 0;
}

bool vfio_can_ask(const struct device *device, char *error)
{
	static char pages[2 * PAGE] __attribute__((aligned(4096)));
	bool is_shut = !vfio_has_window(device, PAGE);
	if (!vfio_window(device, PAGE, pages, sizeof pages, false, error))
		return false;
	bool is_open = vfio_has_window(device, PAGE);
	if (!vfio_close_window(device, PAGE, sizeof pages, error))
		return false;
	if (!is_shut || !is_open)
		snprintf(error, ERROR_BYTES, "this kernel's VFIO cannot be asked what it has mapped");
	return is_shut && is_open;
}

bool vfio_unmask(const struct device *device, char *error)
{
	return !device->level || set_interrupt(device, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK, -1, error);
}
