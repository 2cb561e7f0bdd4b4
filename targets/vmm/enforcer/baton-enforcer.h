/*
 * The enforcer socket for a VMM in C (docs/PLATFORMS.md, "The enforcer socket"): the VMM says what it can switch, and
 * baton-host orders it to. The library reads and answers the lines; it switches nothing itself.
 *
 * Compile the .c files of this folder with your program; they need libc alone (-pthread where it is apart).
 * docs/examples/vmm.c is a whole VMM around it, with a machine that is only in memory.
 *
 *	struct baton *baton = baton_open(&platform, "unix:/run/vmm/baton.sock", error);
 *	for (;;) {
 *		struct pollfd wanted[] = { baton_poll(baton), ... };
 *		poll(wanted, ..., waits ? 1 : BATON_LOOK_MS);
 *		waits = baton_serve(baton, wanted[0].revents);
 *		... the VMM's own work: baton_vm_starting, baton_vm_exited ...
 *	}
 *
 * One thread calls all of it, and is called back; baton_fault alone may be called by any. Memory is taken in baton_open
 * and never again. What is wrong with a peer is said on standard error.
 */
#ifndef BATON_ENFORCER_H
#define BATON_ENFORCER_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Names with their ends: of a VM, bundle or device; of a resource. */
#define BATON_NAME_BYTES 33
#define BATON_RESOURCE_BYTES 48
/* Longest error text, with its end. */
#define BATON_ERROR_BYTES 160
/* VMs that are known at a time: starting, running, or ended and not acknowledged. */
#define BATON_VMS_MAX 32
/* Longest time between two calls of baton_serve, in ms: fault records wait for it. */
#define BATON_LOOK_MS 20

/* How a call ended, or that it goes on: then it is called again at the next baton_serve. */
enum baton_progress { BATON_DONE, BATON_AGAIN, BATON_FAILED };

/*
 * What the VMM can do. Bundle, device and resource are pointers of its own: those that its find functions returned.
 * Every call may be repeated.
 *
 * A call that fails fills `error` (BATON_ERROR_BYTES) with what was tried and on what: people read it in the log and in
 * `baton status`. The calls after it in the same run are not carried out. What a find function does not know, a call
 * that is unknown, and a grant to a VM that neither starts nor runs are refused by the library, by name.
 */
struct baton_platform {
	/* Short, as "kvm": hello says it, and machineBoot begins with it. */
	const char *name;
	/* How far inspect can be believed: "none", "asserted", "observed" or "attested". */
	const char *evidence;
	/* Can take from a live borrower; has devices forget; reports refused accesses. */
	struct {
		bool force_revoke, reset, fault_report;
	} can;
	void *context;

	/* By name, as the bundle file has them; a resource as "touch.mmio0". NULL: there is none. */
	void *(*find_bundle)(void *context, const char *name);
	void *(*find_device)(void *bundle, const char *name);
	void *(*find_resource)(void *bundle, const char *name);

	/* Blocks every path to the resource. Need not be visible before settle. */
	bool (*fence)(void *resource, char *error);
	/* Returns when everything that was fenced is out of reach. `syncs`: how many syncs that took. */
	bool (*settle)(void *bundle, unsigned *syncs, char *error);
	/* Has the device forget all that its holder left, and its interrupts: active, then pending. May take time. */
	enum baton_progress (*reset)(void *device, char *error);
	/* Looks whether no DMA is under way and no interrupt pending. */
	bool (*drained)(void *device);
	/*
	 * Makes it reachable for the VM. Must refuse while another VM reaches it, after a fence that was not settled, and
	 * while the device is busy or was not reset since another VM had it.
	 */
	bool (*grant)(void *resource, const char *vm, char *error);
	/* Reads back who reaches it: a VM's name, "blocked", or "unknown". */
	const char *(*inspect)(void *resource);

	/* The VM may run its first instruction. One that cannot has ended: baton_vm_exited, here or later. */
	void (*may_run)(void *context, const char *vm);
	/* What is left of the VM may be freed, once no device reaches it. */
	void (*may_free)(void *context, const char *vm);
};

/* A refused access. Strings are copied; longer ones than the names above are cut. */
struct baton_fault {
	const char *vm; /* whose processor; NULL: DMA of `stream` */
	uint32_t stream;
	const char *bundle, *resource; /* NULL: none of ours */
	uint64_t address;
	unsigned bytes; /* width of the access; 0: unknown */
	bool write;
	const char *event; /* as "stage-2 abort" */
};

struct baton;

/*
 * Listens at "unix:/path" (mode 0600), or opens a character device such as a virtio-serial port; `platform` and
 * `address` must stay. Each call is a machineBoot of its own: the VMs of a process end with it. NULL: `error`
 * (BATON_ERROR_BYTES) says why.
 */
struct baton *baton_open(const struct baton_platform *platform, const char *address, char *error);
void baton_close(struct baton *baton);

/* What to poll for; its fd may be -1. */
struct pollfd baton_poll(const struct baton *baton);
/*
 * Reads and writes what can be, and goes on with what was ordered. `events` are those that poll returned, 0 without.
 * Returns whether a call said BATON_AGAIN: then call it again in about a millisecond.
 */
bool baton_serve(struct baton *baton, short events);

/*
 * A VM waits for its first instruction: the host is told until it acknowledges that (may_run). False: its last life is
 * not over, or there are too many.
 */
bool baton_vm_starting(struct baton *baton, const char *vm);
/* A VM runs already: before the first baton_serve, for VMs that nobody has to acknowledge. False as above. */
bool baton_vm_running(struct baton *baton, const char *vm);
/* A VM has ended and nothing of it is freed yet: the host is told until it acknowledges that (may_free). */
void baton_vm_exited(struct baton *baton, const char *vm);

/* Books a refused access; any thread may. Alike ones are counted; when records are lost, the next one says so. */
void baton_fault(struct baton *baton, const struct baton_fault *fault);

#endif
