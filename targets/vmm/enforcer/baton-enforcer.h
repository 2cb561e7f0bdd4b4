/*
 * The enforcer socket for a VMM in C (docs/PLATFORMS.md, "The enforcer socket"): the VMM provides functions that switch
 * access, and baton-host orders their calls. The library reads and answers the lines; it switches nothing itself.
 *
 * Compile the .c files of this folder with your program; they need only libc (and -pthread, if it is a separate
 * library). docs/examples/vmm.c is a complete VMM with a machine that exists only in memory.
 *
 * 	struct baton *baton = baton_open(&platform, "unix:/run/vmm/baton.sock", error);
 * 	for (;;) {
 * 		struct pollfd wanted[] = { baton_poll(baton), ... };
 * 		poll(wanted, ..., waits ? 1 : BATON_LOOK_MS);
 * 		waits = baton_serve(baton, wanted[0].revents);
 * 		... the VMM's own work: baton_vm_starting, baton_vm_exited ...
 * 	}
 *
 * One thread makes all calls and gets all callbacks; only baton_fault may be called by any thread. Memory is allocated
 * only in baton_open. Errors of a peer are reported on standard error.
 */
#ifndef BATON_ENFORCER_H
#define BATON_ENFORCER_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Sizes of names with their final zero: of a VM, bundle or device; of a resource. */
#define BATON_NAME_BYTES 33
#define BATON_RESOURCE_BYTES 48
/* Size of an error text, with its final zero. */
#define BATON_ERROR_BYTES 160
/* Most known VMs: starting, running, or ended and not acknowledged. */
#define BATON_VMS_MAX 32
/* Longest time between two calls of baton_serve, in ms: fault records wait for it. */
#define BATON_LOOK_MS 20

/* Result of a call. BATON_AGAIN: it is not finished, and is called again by the next baton_serve. */
enum baton_progress { BATON_DONE, BATON_AGAIN, BATON_FAILED };

/*
 * Functions of the VMM. Bundle, device and resource are its own pointers, as returned by its find functions. Every call
 * may be repeated.
 *
 * A call that fails fills `error` (BATON_ERROR_BYTES) with the action and its subject, which people read in the log and
 * in `baton status`. Later calls of the same run are not carried out. The library itself refuses, by name: what a find
 * function does not know, unknown calls, and a grant to a VM that neither starts nor runs.
 */
struct baton_platform {
	/* Short, as "kvm": reported in hello, and the start of machineBoot. */
	const char *name;
	/* Evidence level of inspect: "none", "asserted", "observed" or "attested". */
	const char *evidence;
	/* Capabilities: takes a bundle from a live borrower; resets devices; reports refused accesses. */
	struct {
		bool force_revoke, reset, fault_report;
	} can;
	void *context;

	/* Look-up by the names of the bundle file; a resource as "touch.mmio0". NULL: there is none. */
	void *(*find_bundle)(void *context, const char *name);
	void *(*find_device)(void *bundle, const char *name);
	void *(*find_resource)(void *bundle, const char *name);

	/* Blocks every path to the resource. Need not be effective before settle. */
	bool (*fence)(void *resource, char *error);
	/* Returns when no VM can reach anything that was fenced. `syncs`: number of syncs that were needed. */
	bool (*settle)(void *bundle, unsigned *syncs, char *error);
	/* Clears all residual state of the device, and its interrupts: active, then pending. May take time. */
	enum baton_progress (*reset)(void *device, char *error);
	/* Checks that no DMA is under way and no interrupt is pending. */
	bool (*drained)(void *device);
	/*
	 * Makes the resource reachable for the VM. Must refuse while another VM reaches it, after a fence without settle,
	 * while the device is busy, and if it was not reset since another VM had it.
	 */
	bool (*grant)(void *resource, const char *vm, char *error);
	/* Reads back who reaches the resource: a VM's name, "blocked", or "unknown". */
	const char *(*inspect)(void *resource);

	/* The VM may run its first instruction. If it cannot, report its end: baton_vm_exited, here or later. */
	void (*may_run)(void *context, const char *vm);
	/* The VM's memory may be freed, once no device reaches it. */
	void (*may_free)(void *context, const char *vm);
};

/* A refused access. Strings are copied, and cut to the sizes above. */
struct baton_fault {
	const char *vm; /* accessed by a processor of this VM; NULL: DMA of `stream` */
	uint32_t stream;
	const char *bundle, *resource; /* NULL: in no bundle */
	uint64_t address;
	unsigned bytes; /* width of the access; 0: unknown */
	bool write;
	const char *event; /* as "stage-2 abort" */
};

struct baton;

/*
 * Listens at "unix:/path" (mode 0600), or opens a character device such as a virtio-serial port. `platform` and
 * `address` must stay valid. Each call gets a new machineBoot, since the VMs of a process end with it. Returns NULL on
 * failure, with the reason in `error` (BATON_ERROR_BYTES).
 */
struct baton *baton_open(const struct baton_platform *platform, const char *address, char *error);
void baton_close(struct baton *baton);

/* The descriptor and events to poll; fd may be -1. */
struct pollfd baton_poll(const struct baton *baton);
/*
 * Reads and writes without blocking, and continues the orders. `events`: those that poll returned, or 0. Returns
 * whether a call returned BATON_AGAIN: then call this again in about a millisecond.
 */
bool baton_serve(struct baton *baton, short events);

/*
 * A VM waits for its first instruction. Reported to the host until acknowledged (may_run). False: its last incarnation
 * has not ended, or there are too many VMs.
 */
bool baton_vm_starting(struct baton *baton, const char *vm);
/* A VM runs already. Before the first baton_serve, for VMs that need no acknowledgement. False: as above. */
bool baton_vm_running(struct baton *baton, const char *vm);
/* A VM has ended, and nothing of it is freed yet. Reported to the host until acknowledged (may_free). */
void baton_vm_exited(struct baton *baton, const char *vm);

/*
 * Records a refused access. May be called by any thread. Equal ones are counted; the next record after a loss reports
 * the loss.
 */
void baton_fault(struct baton *baton, const struct baton_fault *fault);

#endif
