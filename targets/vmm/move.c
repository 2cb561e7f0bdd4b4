/*
 * The calls of the Enforcer contract (move.h).
 *
 * Conditions of a grant: every path of the old holder is blocked (fence, settle), the device is idle and was reset
 * since another VM held it, and no interrupt from before waits to be delivered.
 */
#include "move.h"

#include <stdio.h>
#include <string.h>

#include "vfio.h"
#include "vm.h"

/* Slot 0 is the VM's RAM. */
static unsigned slot_of(const struct resource *resource)
{
	return 1 + (unsigned)(resource - machine.resources);
}

static bool refuse(char *error, const struct resource *resource, const char *why, const char *who)
{
	snprintf(error, ERROR_BYTES, "%s: %s%s", resource->name, why, who);
	return false;
}

static bool block(struct resource *resource, char *error)
{
	struct vm *vm = resource->holder;
	struct device *device = resource->device;
	uint64_t view = resource->views[vm->index];
	switch (resource->kind) {
	case MMIO:
		return vm_unmap(vm, slot_of(resource), view, error);
	case INTERRUPT:
		return vm_connect(vm, device, (unsigned)view, false, error);
	case STREAM:
		/*
		 * From now on its DMA is dropped at the bus. Its domain changes in settle, when no resource of the device is held.
		 */
		return vfio_master(device, false, error);
	}
	return false;
}

bool move_fence(struct resource *resource, char *error)
{
	if (!resource->holder)
		return true;
	if (!block(resource, error))
		return false;
	resource->holder = NULL;
	resource->unsettled = true;
	return true;
}

static bool is_held(const struct device *device, const struct resource **by)
{
	for (unsigned i = 0; i < machine.resource_count; i++) {
		const struct resource *each = &machine.resources[i];
		if (each->device == device && each->holder) {
			*by = each;
			return true;
		}
	}
	return false;
}

/* Moves devices without a held resource out of the domain of their former holder. */
static bool park(const struct bundle *bundle, unsigned *syncs, char *error)
{
	for (unsigned i = 0; i < machine.device_count; i++) {
		struct device *device = &machine.devices[i];
		const struct resource *held;
		bool is_home = device->inside == device->own && device->fd >= 0;
		if (device->bundle != bundle || is_home || is_held(device, &held))
			continue;
		if (!vfio_enter(device, device->own, error))
			return false;
		++*syncs;
	}
	return true;
}

/* The kernel's calls return when the invalidations are complete. What remains is to read back the result. */
bool move_settle(struct bundle *bundle, unsigned *syncs, char *error)
{
	*syncs = 0;
	if (!park(bundle, syncs, error))
		return false;
	for (unsigned i = 0; i < machine.resource_count; i++) {
		struct resource *each = &machine.resources[i];
		if (each->device->bundle != bundle || each->holder)
			continue;
		if (strcmp(move_inspect(each), "blocked") != 0)
			return refuse(error, each, "is fenced, and reads back as ", move_inspect(each));
		if (each->unsettled && each->kind == MMIO)
			++*syncs;
		each->unsettled = false;
	}
	return true;
}

/* A resource that is not fenced and settled; NULL when there is none. */
static const struct resource *open_end(const struct device *device)
{
	for (unsigned i = 0; i < machine.resource_count; i++) {
		const struct resource *each = &machine.resources[i];
		if (each->device == device && (each->holder || each->unsettled))
			return each;
	}
	return NULL;
}

enum baton_progress move_reset(struct device *device, char *error)
{
	const struct resource *open = open_end(device);
	if (open) {
		snprintf(error, ERROR_BYTES, "%s: %s is not fenced and settled", device->name, open->name);
		return BATON_FAILED;
	}
	error[0] = 0;
	if (device->used || !device->model->idle(device)) {
		/* No VM may get the device until the reset is done. */
		device->used = true;
		enum baton_progress progress = device->model->reset(device, error);
		if (progress != BATON_DONE)
			return progress;
	}
	/*
	 * Interrupts last: drained, then unmasked. A line that is still asserted fires again, and the device is not idle.
	 */
	vfio_drain(device);
	if (!vfio_unmask(device, error))
		return BATON_FAILED;
	device->used = false;
	return BATON_DONE;
}

bool move_is_drained(struct device *device)
{
	return device->model->idle(device) && !vfio_has_signal(device);
}

static bool open_path(struct resource *resource, struct vm *vm, char *error)
{
	struct device *device = resource->device;
	uint64_t view = resource->views[vm->index];
	switch (resource->kind) {
	case MMIO:
		return vm_map(vm, slot_of(resource), view, resource->bytes, device->registers, error);
	case INTERRUPT:
		/*
		 * KVM delivers a signal that waits in the eventfd as soon as it is connected. It came after the reset drained the
		 * eventfd, or this VM had the device before, so it is for this VM. Dropping it would leave a level line masked
		 * permanently.
		 */
		return vm_connect(vm, device, (unsigned)view, true, error);
	case STREAM:
		return vfio_master(device, true, error);
	}
	return false;
}

bool move_grant(struct resource *resource, const char *name, char *error)
{
	struct vm *vm = vm_named(name);
	struct device *device = resource->device;
	if (!vm || (vm->state != STARTING && vm->state != RUNNING))
		return refuse(error, resource, "no VM runs that is called ", name);
	if (resource->holder == vm)
		return true;
	if (resource->holder)
		return refuse(error, resource, "is held by ", resource->holder->name);
	if (resource->unsettled)
		return refuse(error, resource, "is fenced, not settled", "");
	/* The last holder may get it back without a reset. */
	if (device->used && device->used_by != vm)
		return refuse(error, resource, "not reset since it was held: ", device->name);
	const struct resource *held;
	if (is_held(device, &held) && held->holder != vm)
		return refuse(error, resource, "its device is held by ", held->holder->name);
	if (!device->used && !move_is_drained(device))
		return refuse(error, resource, "not idle: ", device->name);
	/* From now on the device's stream goes through the VM's domain; bus mastering is still off. */
	if (!vfio_enter(device, vm->domain.container, error))
		return false;
	if (!open_path(resource, vm, error))
		return false;
	resource->holder = vm;
	device->used = true;
	device->used_by = vm;
	return true;
}

static const char *inspect_registers(const struct resource *resource)
{
	if (resource->device->fd < 0)
		return "unknown"; /* a change of its domain failed, and KVM has no query */
	const struct vm *reached = NULL;
	for (unsigned i = 0; i < machine.vm_count; i++) {
		const struct vm *vm = &machine.vms[i];
		if (vm->state == ABSENT || !vm_is_mapped(vm, resource->views[i], resource->device->registers))
			continue;
		if (reached)
			return "unknown"; /* two at a time */
		reached = vm;
	}
	if (reached != resource->holder)
		return "unknown";
	return reached ? reached->name : "blocked";
}

/*
 * Bus mastering and the contents of the domain are read back from the kernel; the domain itself is the last one that
 * the kernel confirmed.
 */
static const char *inspect_stream(const struct resource *resource)
{
	const struct device *device = resource->device;
	const struct vm *vm = resource->holder;
	if (!vm)
		return vfio_is_master(device) ? "unknown" : "blocked";
	bool is_inside = device->inside == vm->domain.container && vfio_has(device->inside, RAM_BASE);
	return is_inside && vfio_is_master(device) ? vm->name : "unknown";
}

const char *move_inspect(const struct resource *resource)
{
	switch (resource->kind) {
	case MMIO:
		return inspect_registers(resource);
	case STREAM:
		return inspect_stream(resource);
	case INTERRUPT:
		/* KVM has no query for it; this is the state that it last confirmed. */
		return resource->holder ? resource->holder->name : "blocked";
	}
	return "unknown";
}

bool move_holds(const struct vm *vm)
{
	for (unsigned i = 0; i < machine.device_count; i++)
		if (vm->domain.container >= 0 && machine.devices[i].inside == vm->domain.container)
			return true;
	for (unsigned i = 0; i < machine.resource_count; i++)
		if (machine.resources[i].holder == vm)
			return true;
	return false;
}
