/* The virtio socket device of a guest (virtio-vsock.h). */
#include "virtio-vsock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/vhost.h>
#include <linux/virtio_mmio.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define MAGIC 0x74726976
#define VENDOR_NONE 0x0
#define DEVICE_SOCKET 19
/* VIRTIO_F_VERSION_1: bit 0 of the upper word; the only feature offered. */
#define FEATURE_VERSION_1 (1ULL << 32)
#define QUEUE_SIZE_MAX 128
#define DRIVER_OK 4
#define CONFIG_CID 0x100
#define FIRST_CID 3

bool vsock_open(struct vm *vm, char *error)
{
	struct vsock *vsock = &vm->vsock;
	memset(vsock, 0, sizeof *vsock);
	vsock->cid = FIRST_CID + vm->index;
	vsock->vhost = open("/dev/vhost-vsock", O_RDWR | O_CLOEXEC);
	vsock->call = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	for (unsigned i = 0; i < 2; i++)
		vsock->kick[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (vsock->vhost < 0 || vsock->call < 0 || vsock->kick[0] < 0 || vsock->kick[1] < 0)
		return failed(error, "%s: open /dev/vhost-vsock and its eventfds", vm->name);
	struct kvm_irqfd irqfd = { .fd = (uint32_t)vsock->call, .gsi = VSOCK_INTERRUPT - 32 };
	if (ioctl(vm->fd, KVM_IRQFD, &irqfd))
		return failed(error, "%s: KVM_IRQFD of vsock", vm->name);
	for (unsigned i = 0; i < 2; i++) {
		struct kvm_ioeventfd kick = { .datamatch = i, .addr = VSOCK_REGISTERS + VIRTIO_MMIO_QUEUE_NOTIFY, .len = 4,
					      .fd = vsock->kick[i], .flags = KVM_IOEVENTFD_FLAG_DATAMATCH };
		if (ioctl(vm->fd, KVM_IOEVENTFD, &kick))
			return failed(error, "%s: KVM_IOEVENTFD of vsock", vm->name);
	}
	return true;
}

void vsock_close(struct vm *vm)
{
	const int fds[] = { vm->vsock.vhost, vm->vsock.call, vm->vsock.kick[0], vm->vsock.kick[1] };
	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
		if (fds[i] > 0)
			close(fds[i]);
	memset(&vm->vsock, 0, sizeof vm->vsock);
}

static bool is_in_ram(const struct vm *vm, uint64_t address, uint64_t bytes)
{
	return address >= RAM_BASE && address - RAM_BASE <= vm->ram_bytes && bytes <= vm->ram_bytes - (address - RAM_BASE);
}

/*
 * Sizes of the rings: Virtio 1.2, 2.7. vhost uses their addresses in this process unchecked, so a guest must not choose
 * other ones.
 */
static bool has_sound_rings(const struct vm *vm, const struct vsock_queue *queue)
{
	uint64_t size = queue->size;
	return size > 0 && (size & (size - 1)) == 0 && is_in_ram(vm, queue->descriptors, 16 * size) &&
	       is_in_ram(vm, queue->available, 6 + 2 * size) && is_in_ram(vm, queue->used, 6 + 8 * size);
}

static bool set_queue(const struct vm *vm, unsigned index)
{
	const struct vsock *vsock = &vm->vsock;
	const struct vsock_queue *queue = &vsock->queues[index];
	if (!has_sound_rings(vm, queue)) {
		errno = EINVAL;
		return false;
	}
	/* vhost accesses the rings by their addresses in this process. */
	uint64_t shift = (uintptr_t)vm->ram - RAM_BASE;
	struct vhost_vring_state size = { index, queue->size }, first = { index, 0 };
	struct vhost_vring_addr rings = { .index = index, .desc_user_addr = shift + queue->descriptors,
					  .avail_user_addr = shift + queue->available, .used_user_addr = shift + queue->used };
	struct vhost_vring_file kick = { index, vsock->kick[index] }, call = { index, vsock->call };
	return !ioctl(vsock->vhost, VHOST_SET_VRING_NUM, &size) && !ioctl(vsock->vhost, VHOST_SET_VRING_BASE, &first) &&
	       !ioctl(vsock->vhost, VHOST_SET_VRING_ADDR, &rings) && !ioctl(vsock->vhost, VHOST_SET_VRING_KICK, &kick) &&
	       !ioctl(vsock->vhost, VHOST_SET_VRING_CALL, &call);
}

/* The driver is ready: the kernel takes over. A failure is reported, and the guest has no connection to its host. */
static void start(struct vm *vm)
{
	struct vsock *vsock = &vm->vsock;
	struct {
		struct vhost_memory memory;
		struct vhost_memory_region region;
	} table = { .memory.nregions = 1,
		    .region = { .guest_phys_addr = RAM_BASE, .memory_size = vm->ram_bytes,
				.userspace_addr = (uintptr_t)vm->ram } };
	uint64_t features = vsock->features & FEATURE_VERSION_1, cid = vsock->cid;
	int on = 1;
	bool is_up = (vsock->owned || !ioctl(vsock->vhost, VHOST_SET_OWNER)) &&
		     !ioctl(vsock->vhost, VHOST_SET_FEATURES, &features) &&
		     !ioctl(vsock->vhost, VHOST_SET_MEM_TABLE, &table) &&
		     !ioctl(vsock->vhost, VHOST_VSOCK_SET_GUEST_CID, &cid) && set_queue(vm, 0) && set_queue(vm, 1) &&
		     !ioctl(vsock->vhost, VHOST_VSOCK_SET_RUNNING, &on);
	vsock->owned = true;
	if (!is_up)
		fprintf(stderr, "baton-kvm: %s: its socket device does not start: %s\n", vm->name, strerror(errno));
}

static void stop(struct vsock *vsock)
{
	int off = 0;
	if (vsock->status & DRIVER_OK)
		ioctl(vsock->vhost, VHOST_VSOCK_SET_RUNNING, &off);
}

static uint32_t read_register(const struct vsock *vsock, unsigned at)
{
	switch (at) {
	case VIRTIO_MMIO_MAGIC_VALUE:
		return MAGIC;
	case VIRTIO_MMIO_VERSION:
		return 2;
	case VIRTIO_MMIO_DEVICE_ID:
		return DEVICE_SOCKET;
	case VIRTIO_MMIO_VENDOR_ID:
		return VENDOR_NONE;
	case VIRTIO_MMIO_DEVICE_FEATURES:
		return vsock->feature_word == 1 ? (uint32_t)(FEATURE_VERSION_1 >> 32) : 0;
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
		return QUEUE_SIZE_MAX;
	case VIRTIO_MMIO_QUEUE_READY:
		return vsock->queues[vsock->queue].ready;
	case VIRTIO_MMIO_INTERRUPT_STATUS:
		return VIRTIO_MMIO_INT_VRING; /* the only one that is ever raised */
	case VIRTIO_MMIO_STATUS:
		return vsock->status;
	case CONFIG_CID:
		return vsock->cid;
	}
	return 0;
}

static uint64_t low(uint64_t old, uint32_t value)
{
	return (old & ~(uint64_t)UINT32_MAX) | value;
}

static uint64_t high(uint64_t old, uint32_t value)
{
	return (uint32_t)old | (uint64_t)value << 32;
}

static void write_status(struct vm *vm, uint32_t value)
{
	struct vsock *vsock = &vm->vsock;
	if (value == 0) {
		stop(vsock);
		memset(vsock->queues, 0, sizeof vsock->queues);
		vsock->features = 0;
	}
	bool is_new = (value & DRIVER_OK) && !(vsock->status & DRIVER_OK);
	vsock->status = value;
	if (is_new)
		start(vm);
}

static void write_register(struct vm *vm, unsigned at, uint32_t value)
{
	struct vsock *vsock = &vm->vsock;
	struct vsock_queue *queue = &vsock->queues[vsock->queue];
	switch (at) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		vsock->feature_word = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		vsock->driver_word = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		vsock->features = vsock->driver_word ? high(vsock->features, value) : low(vsock->features, value);
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		vsock->queue = value < VSOCK_QUEUES ? value : 0;
		break;
	case VIRTIO_MMIO_QUEUE_NUM:
		queue->size = value <= QUEUE_SIZE_MAX ? value : 0;
		break;
	case VIRTIO_MMIO_QUEUE_READY:
		queue->ready = value & 1;
		break;
	case VIRTIO_MMIO_STATUS:
		write_status(vm, value);
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
		queue->descriptors = low(queue->descriptors, value);
		break;
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		queue->descriptors = high(queue->descriptors, value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
		queue->available = low(queue->available, value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
		queue->available = high(queue->available, value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_LOW:
		queue->used = low(queue->used, value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		queue->used = high(queue->used, value);
		break;
	}
}

bool vsock_access(struct vm *vm, uint64_t address, bool is_write, uint32_t *value)
{
	if (!vm->is_linux || address - VSOCK_REGISTERS >= 0x200)
		return false;
	unsigned at = (unsigned)(address - VSOCK_REGISTERS);
	if (is_write)
		write_register(vm, at, *value);
	else
		*value = read_register(&vm->vsock, at);
	return true;
}
