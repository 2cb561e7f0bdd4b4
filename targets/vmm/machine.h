/*
 * What baton-kvm knows: bundles and their devices, the VMs, who reaches what. One process owns all their descriptors.
 *
 * The main thread alone changes this state and calls KVM and VFIO about it. A VM's own thread runs its processor,
 * answers refused accesses, and touches nothing here; it books faults (faults.h). The thread that makes a VM
 * (control.c) touches that VM alone, which is ABSENT until it is made.
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

/* What a device needs beyond VFIO: when it is idle, and how it forgets. One table per kind of device. */
struct device;
struct model {
	/* Vendor and device, as PCI has them. */
	unsigned vendor, product;
	/* What a Linux guest's device tree calls it; NULL: such a guest has no driver for it. */
	const char *compatible;
	/* No work under way, no interrupt raised. */
	bool (*idle)(struct device *);
	/* Goes on with a reset. BATON_FAILED: with an error. */
	enum baton_progress (*reset)(struct device *, char *error);
};

struct device {
	char name[NAME_BYTES];
	struct bundle *bundle;
	const struct model *model;
	char pci[PCI_BYTES];
	int group, fd;
	/* VFIO containers: its own, where it is while nobody holds it, and the one that it is in (-1: none). */
	int own, inside;
	void *registers;
	uint64_t registers_bytes, config_offset;
	/* Interrupts come in here; for a level interrupt, the guest's end of interrupt goes out there. */
	int interrupt, unmask;
	bool level;
	/* Somebody has held it since the last reset: it is nobody else's before the next. */
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
	/* Where a VM sees it, by the VM's index. */
	uint64_t views[VMS_MAX];
	/* Who reaches it; NULL: nobody. */
	struct vm *holder;
	/* Fenced, and no settle came since. */
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
	/* The kernel knows whose it is: said once. */
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
	/* Why its processor stopped, when it did not stop itself. */
	char why[ERROR_BYTES];
	/* Its end was acknowledged: it is freed as soon as no device reaches it any more. */
	bool may_go;
	/* Its guest is Linux: then it has a socket device and a console, of which this is the line that is being written. */
	bool is_linux;
	/* Where its device tree is. */
	uint64_t tree;
	struct vsock vsock;
	char line[256];
	unsigned line_length;
	/* The device that its guest drives, of all that it may come to hold. */
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

/* The interrupt controller as a guest sees it. */
#define GIC_DISTRIBUTOR 0x08000000ULL
#define GIC_REDISTRIBUTOR 0x080a0000ULL
/* Where a guest's RAM is, the same in every VM. It is also the window that a device granted to it can reach. */
#define RAM_BASE 0x40000000ULL
/* Its bytes unless its start says otherwise, and at most. */
#define RAM_BYTES (2ULL << 20)
#define RAM_BYTES_MAX (256ULL << 20)

/* Writes "what: errno's text" into `error`; returns false. */
bool failed(char *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Milliseconds since the machine started. */
int64_t now_ms(void);

/* Reads a whole file to `to`, which has more than its bytes. Returns them; 0: why is in `error`. */
size_t load_file(const char *path, void *to, size_t size, char *error);
struct vm *vm_named(const char *name);
struct bundle *bundle_named(const char *name);
struct device *device_named(const struct bundle *bundle, const char *name);
struct resource *resource_named(const struct bundle *bundle, const char *name);

#endif
