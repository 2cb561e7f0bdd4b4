/*
 * The state of baton-kvm: bundles and their devices, VMs, and who reaches what. One process owns all descriptors.
 *
 * Only the main thread changes this state and calls KVM and VFIO for it. A VM's own thread runs its processor and
 * answers refused accesses; it changes nothing here, and records faults (faults.h). The thread that makes a VM
 * (control.c) changes only that VM, which is ABSENT until it is made.
 */
#ifndef BATON_MACHINE_H
#define BATON_MACHINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "enforcer/baton-enforcer.h"

#define VMS_MAX 4
#define DEVICES_MAX 8
#define BUNDLES_MAX 4
#define RESOURCES_MAX 32
#define NAME_BYTES BATON_NAME_BYTES
#define RESOURCE_BYTES BATON_RESOURCE_BYTES
/* As 0000:00:05.0, with its end. */
#define PCI_BYTES 16
/* Longest error text, with its end. */
#define ERROR_BYTES BATON_ERROR_BYTES

enum kind { MMIO, INTERRUPT, STREAM };

struct bundle {
	char name[NAME_BYTES];
};

/* Functions of a device beyond VFIO: whether it is idle, and its reset. One table per kind of device. */
struct device;
struct model {
	/* PCI vendor and device IDs. */
	unsigned vendor, product;
	/* `compatible` in a Linux guest's device tree; NULL: such a guest has no driver for it. */
	const char *compatible;
	/* No work under way, no interrupt raised. */
	bool (*idle)(struct device *);
	/* Continues a reset. BATON_FAILED: with an error. */
	enum baton_progress (*reset)(struct device *, char *error);
};

struct device {
	char name[NAME_BYTES];
	struct bundle *bundle;
	const struct model *model;
	char pci[PCI_BYTES];
	int group, fd;
	/* VFIO containers: its own, for the time without a holder, and its present one (-1: none). */
	int own, inside;
	void *registers;
	uint64_t registers_bytes, config_offset;
	/* Interrupts come in here; for a level interrupt, the guest's end of interrupt goes out there. */
	int interrupt, unmask;
	bool level;
	/* A VM has held it since the last reset: no other VM may get it before the next. */
	bool used;
	const struct vm *used_by;
	/* A reset under way: its step, and when it counts as failed (ms). */
	int reset_step;
	int64_t reset_until;
};

struct resource {
	char name[RESOURCE_BYTES];
	enum kind kind;
	struct device *device;
	uint64_t physical, bytes;
	/* Address or number in each VM, by the VM's index. */
	uint64_t views[VMS_MAX];
	/* The VM that reaches it; NULL: none. */
	struct vm *holder;
	/* Fenced, and not settled since. */
	bool unsettled;
};

/* The IOMMU domain of a VM (vfio.h). Its keeper is a PCI device. */
struct domain {
	char keeper[PCI_BYTES];
	int container, group;
};

/* The socket device of a Linux guest (virtio-vsock.h): queues for receiving, sending and events. */
#define VSOCK_QUEUES 3
struct vsock_queue {
	uint64_t descriptors, available, used;
	uint32_t size, ready;
};
struct vsock {
	int vhost, call, kick[2];
	uint32_t cid, status, queue, feature_word, driver_word;
	uint64_t features;
	/* Whether the owner was set in the kernel, which is done once. */
	bool owned;
	struct vsock_queue queues[VSOCK_QUEUES];
};

enum vm_state { ABSENT, STARTING, RUNNING, EXITED };

struct vm {
	char name[NAME_BYTES];
	unsigned index;
	/* What a refused access does: reads all ones (false), or an external abort in the guest (true). */
	bool aborts;
	enum vm_state state;
	int fd, processor, gic;
	struct kvm_run *run;
	size_t run_bytes;
	/* The RAM, and the mapping that it was cut from. */
	void *ram, *ram_mapping;
	size_t ram_bytes, ram_mapping_bytes;
	struct domain domain;
	unsigned long thread;
	bool has_thread;
	atomic_bool stop, ended;
	/* Why its processor stopped, if it did not stop itself. */
	char why[ERROR_BYTES];
	/* Its end was acknowledged: it is freed as soon as no device reaches it. */
	bool may_go;
	/* Its guest is Linux: then it has a socket device and a console, whose current line this is. */
	bool is_linux;
	/* Address of its device tree. */
	uint64_t tree;
	struct vsock vsock;
	char line[256];
	unsigned line_length;
	/* The one device that its guest drives, of all that it may hold. */
	const struct device *drives;
};

struct machine {
	struct bundle bundles[BUNDLES_MAX];
	struct device devices[DEVICES_MAX];
	struct resource resources[RESOURCES_MAX];
	struct vm vms[VMS_MAX];
	unsigned bundle_count, device_count, resource_count, vm_count;
	int kvm;
	/* Image of bare guests; kernel and initial file system of Linux guests. NULL: there are none. */
	const char *guest, *kernel, *files;
	/* Written to by a VM's thread when it ends. */
	int bell;
};

extern struct machine machine;

/* Addresses of the interrupt controller in a guest. */
#define GIC_DISTRIBUTOR 0x08000000ULL
#define GIC_REDISTRIBUTOR 0x080a0000ULL
/* Address of a guest's RAM, the same in every VM. A device granted to the VM can reach this window. */
#define RAM_BASE 0x40000000ULL
/* Its size in bytes: default and maximum. */
#define RAM_BYTES (2ULL << 20)
#define RAM_BYTES_MAX (256ULL << 20)

/* Writes "what: errno's text" into `error`; returns false. */
bool failed(char *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Milliseconds since the machine started. */
int64_t now_ms(void);

/*
 * Reads a whole file into `to`, which must be larger than the file. Returns the number of bytes; 0 on failure, with the
 * reason in `error`.
 */
size_t load_file(const char *path, void *to, size_t size, char *error);
struct vm *vm_named(const char *name);
struct bundle *bundle_named(const char *name);
struct device *device_named(const struct bundle *bundle, const char *name);
struct resource *resource_named(const struct bundle *bundle, const char *name);

#endif
