/*
 * PCI devices and IOMMU domains under VFIO (vfio.h).
 *
 * A device reaches the memory of the container that its group is in: VFIO attaches the group to the container's IOMMU
 * domain, by changing its entry of the SMMU's stream table. A group changes its container only while its device is
 * closed, and a container without a group loses its mappings. So each VM's container has a keeper, the group of a
 * device that does nothing else. (With iommufd neither is needed; Debian's kernels lack it.)
 */
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

/* Opens the group of a PCI device that vfio-pci drives; -1 on failure. */
static int open_group(const char *pci, char *error)
{
	char link[64], target[128], path[160];
	snprintf(link, sizeof link, "/sys/bus/pci/devices/%s/iommu_group", pci);
	ssize_t length = readlink(link, target, sizeof target - 1);
	if (length < 0) {
		failed(error, "%s: no IOMMU group: read %s", pci, link);
		return -1;
	}
	target[length] = 0;
	snprintf(path, sizeof path, "/dev/vfio/%s", strrchr(target, '/') + 1);
	int group = open(path, O_RDWR | O_CLOEXEC);
	if (group < 0)
		failed(error, "%s: open %s", pci, path);
	return group;
}

/* Opens a container with its first group; -1 on failure. */
static int open_container(int group, const char *pci, char *error)
{
	int container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	if (container < 0) {
		failed(error, "%s: open /dev/vfio/vfio", pci);
		return -1;
	}
	if (!ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) &&
	    !ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		return container;
	failed(error, "%s: VFIO_GROUP_SET_CONTAINER, VFIO_SET_IOMMU", pci);
	close(container);
	return -1;
}

bool vfio_domain_open(struct domain *domain, void *memory, uint64_t bytes, char *error)
{
	domain->group = open_group(domain->keeper, error);
	if (domain->group < 0)
		return false;
	domain->container = open_container(domain->group, domain->keeper, error);
	if (domain->container >= 0 && vfio_map(domain->container, RAM_BASE, memory, bytes, true, error))
		return true;
	vfio_domain_close(domain);
	return false;
}

void vfio_domain_close(struct domain *domain)
{
	/* The container and its mappings end with its last descriptor. */
	if (domain->container >= 0)
		close(domain->container);
	if (domain->group >= 0)
		close(domain->group);
	domain->container = domain->group = -1;
}

/* The registers keep one address, also while the device is closed: then they read all ones. */
static bool place_nothing(struct device *device, char *error)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | (device->registers ? MAP_FIXED : 0);
	void *at = mmap(device->registers, device->registers_bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
	if (at == MAP_FAILED)
		return failed(error, "%s: map nothing for its registers", device->name);
	device->registers = at;
	memset(at, 0xff, PAGE);
	return true;
}

static bool open_fd(struct device *device, char *error)
{
	struct vfio_region_info bar = { .argsz = sizeof bar, .index = VFIO_PCI_BAR0_REGION_INDEX };
	struct vfio_region_info config = { .argsz = sizeof config, .index = VFIO_PCI_CONFIG_REGION_INDEX };
	device->fd = ioctl(device->group, VFIO_GROUP_GET_DEVICE_FD, device->pci);
	if (device->fd < 0)
		return failed(error, "%s: VFIO_GROUP_GET_DEVICE_FD %s", device->name, device->pci);
	if (ioctl(device->fd, VFIO_DEVICE_GET_REGION_INFO, &bar) || ioctl(device->fd, VFIO_DEVICE_GET_REGION_INFO, &config))
		return failed(error, "%s: VFIO_DEVICE_GET_REGION_INFO", device->name);
	device->config_offset = config.offset;
	device->registers_bytes = bar.size;
	if (!device->registers && !place_nothing(device, error))
		return false;
	void *at = mmap(device->registers, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, device->fd,
			(off_t)bar.offset);
	return at != MAP_FAILED || failed(error, "%s: map its registers", device->name);
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

static bool set_interrupts(const struct device *device, char *error)
{
	return set_interrupt(device, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, device->interrupt, error) &&
	       (!device->level ||
		set_interrupt(device, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_UNMASK, device->unmask, error));
}

/* Opens the device in its group's container, with bus mastering off. */
static bool open_device(struct device *device, char *error)
{
	return open_fd(device, error) && vfio_master(device, false, error) && set_interrupts(device, error);
}

bool vfio_open(struct device *device, char *error)
{
	device->fd = -1;
	device->interrupt = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	device->unmask = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (device->interrupt < 0 || device->unmask < 0)
		return failed(error, "%s: eventfd", device->name);
	device->group = open_group(device->pci, error);
	if (device->group < 0)
		return false;
	device->own = device->inside = open_container(device->group, device->pci, error);
	return device->own >= 0 && open_device(device, error);
}

/* The device's own container has lost its domain, and gets a new, empty one. */
static bool set_container(struct device *device, int container, char *error)
{
	if (ioctl(device->group, VFIO_GROUP_SET_CONTAINER, &container))
		return failed(error, "%s: VFIO_GROUP_SET_CONTAINER", device->name);
	if (container != device->own || ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) == 0)
		return true;
	failed(error, "%s: VFIO_SET_IOMMU", device->name);
	ioctl(device->group, VFIO_GROUP_UNSET_CONTAINER);
	return false;
}

bool vfio_enter(struct device *device, int container, char *error)
{
	if (device->inside == container && device->fd >= 0)
		return true;
	if (!place_nothing(device, error))
		return false;
	if (device->fd >= 0)
		close(device->fd);
	device->fd = -1;
	if (device->inside >= 0 && ioctl(device->group, VFIO_GROUP_UNSET_CONTAINER))
		return failed(error, "%s: VFIO_GROUP_UNSET_CONTAINER", device->name);
	device->inside = -1;
	if (!set_container(device, container, error))
		return false;
	device->inside = container;
	if (open_device(device, error))
		return true;
	/* Closed completely: half open it would be readable, but without interrupts. */
	char ignored[ERROR_BYTES];
	if (device->fd >= 0)
		close(device->fd);
	device->fd = -1;
	place_nothing(device, ignored);
	return false;
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
	/* An unreadable value counts as the worse one. */
	return read != sizeof command || (command & PCI_COMMAND_MASTER);
}

bool vfio_map(int container, uint64_t address, void *memory, uint64_t bytes, bool writable, char *error)
{
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof map, .vaddr = (uintptr_t)memory, .iova = address,
						.size = bytes, .flags = VFIO_DMA_MAP_FLAG_READ };
	if (writable)
		map.flags |= VFIO_DMA_MAP_FLAG_WRITE;
	return ioctl(container, VFIO_IOMMU_MAP_DMA, &map) == 0 ||
	       failed(error, "VFIO_IOMMU_MAP_DMA at 0x%llx", (unsigned long long)address);
}

bool vfio_unmap(int container, uint64_t address, uint64_t bytes, char *error)
{
	struct vfio_iommu_type1_dma_unmap unmap = { .argsz = sizeof unmap, .iova = address, .size = bytes };
	return ioctl(container, VFIO_IOMMU_UNMAP_DMA, &unmap) == 0 ||
	       failed(error, "VFIO_IOMMU_UNMAP_DMA at 0x%llx", (unsigned long long)address);
}

/*
 * VFIO unmaps only whole mappings: a request for the second page of a mapping fails. Without a mapping nothing is done.
 */
bool vfio_has(int container, uint64_t address)
{
	struct vfio_iommu_type1_dma_unmap unmap = { .argsz = sizeof unmap, .iova = address + PAGE, .size = PAGE };
	return ioctl(container, VFIO_IOMMU_UNMAP_DMA, &unmap) != 0;
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
	bool is_shut = !vfio_has(device->own, PAGE);
	if (!vfio_map(device->own, PAGE, pages, sizeof pages, false, error))
		return false;
	bool is_open = vfio_has(device->own, PAGE);
	if (!vfio_unmap(device->own, PAGE, sizeof pages, error))
		return false;
	if (!is_shut || !is_open)
		snprintf(error, ERROR_BYTES, "this kernel's VFIO cannot be asked what it has mapped");
	return is_shut && is_open;
}

bool vfio_unmask(const struct device *device, char *error)
{
	return !device->level || set_interrupt(device, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK, -1, error);
}
