/*
 * Safeguards that are switched off (sabotage.h). baton-kvm has no code for it: the linker leads its calls of these
 * functions here (--wrap, Makefile), and each here calls the real one unless its safeguard is switched off.
 */
#include "sabotage.h"

#include <errno.h>
#include <string.h>

#include "machine.h"
#include "move.h"
#include "vfio.h"
#include "vm.h"

static bool skip_unmap, skip_readback, skip_domain, skip_reset, skip_drain;

/* skip-unmap: a fence leaves the registers mapped. The next map finds them there. */

bool __real_vm_unmap(const struct vm *vm, unsigned slot, uint64_t address, char *error);
bool __wrap_vm_unmap(const struct vm *vm, unsigned slot, uint64_t address, char *error);
bool __wrap_vm_unmap(const struct vm *vm, unsigned slot, uint64_t address, char *error)
{
	return skip_unmap || __real_vm_unmap(vm, slot, address, error);
}

bool __real_vm_map(const struct vm *vm, unsigned slot, uint64_t address, uint64_t bytes, void *memory, char *error);
bool __wrap_vm_map(const struct vm *vm, unsigned slot, uint64_t address, uint64_t bytes, void *memory, char *error);
bool __wrap_vm_map(const struct vm *vm, unsigned slot, uint64_t address, uint64_t bytes, void *memory, char *error)
{
	return __real_vm_map(vm, slot, address, bytes, memory, error) || (skip_unmap && errno == EEXIST);
}

/* skip-readback: what is mapped is taken from the record of who holds, not from KVM. */

bool __real_vm_is_mapped(const struct vm *vm, uint64_t address, void *registers);
bool __wrap_vm_is_mapped(const struct vm *vm, uint64_t address, void *registers);
bool __wrap_vm_is_mapped(const struct vm *vm, uint64_t address, void *registers)
{
	for (unsigned i = 0; skip_readback && i < machine.resource_count; i++) {
		const struct resource *each = &machine.resources[i];
		if (each->kind == MMIO && each->device->registers == registers && each->views[vm->index] == address)
			return each->holder == vm;
	}
	return __real_vm_is_mapped(vm, address, registers);
}

/* skip-domain: a device stays in the IOMMU domain of its first holder; only the record of it changes. */

/* Where each device is while the record says something else; 0: the record is true. */
static int really_inside[DEVICES_MAX];

bool __real_vfio_enter(struct device *device, int container, char *error);
bool __wrap_vfio_enter(struct device *device, int container, char *error);
bool __wrap_vfio_enter(struct device *device, int container, char *error)
{
	int *really = &really_inside[device - machine.devices];
	if (!skip_domain || (!*really && device->inside == device->own))
		return __real_vfio_enter(device, container, error);
	if (!*really)
		*really = device->inside;
	device->inside = container;
	return true;
}

/* What a reset maps for its own DMA has to be where the device really is. */
static int real_container(int container)
{
	for (unsigned i = 0; i < machine.device_count; i++)
		if (really_inside[i] && machine.devices[i].own == container)
			return really_inside[i];
	return container;
}

bool __real_vfio_map(int container, uint64_t address, void *memory, uint64_t bytes, bool writable, char *error);
bool __wrap_vfio_map(int container, uint64_t address, void *memory, uint64_t bytes, bool writable, char *error);
bool __wrap_vfio_map(int container, uint64_t address, void *memory, uint64_t bytes, bool writable, char *error)
{
	return __real_vfio_map(real_container(container), address, memory, bytes, writable, error);
}

bool __real_vfio_unmap(int container, uint64_t address, uint64_t bytes, char *error);
bool __wrap_vfio_unmap(int container, uint64_t address, uint64_t bytes, char *error);
bool __wrap_vfio_unmap(int container, uint64_t address, uint64_t bytes, char *error)
{
	return __real_vfio_unmap(real_container(container), address, bytes, error);
}

bool __real_move_holds(const struct vm *vm);
bool __wrap_move_holds(const struct vm *vm);
bool __wrap_move_holds(const struct vm *vm)
{
	for (unsigned i = 0; i < machine.device_count; i++)
		if (really_inside[i] && really_inside[i] == vm->domain.container)
			return true;
	return __real_move_holds(vm);
}

static void tell_domains(void)
{
	for (unsigned i = 0; i < machine.device_count; i++) {
		if (really_inside[i])
			machine.devices[i].inside = really_inside[i];
		really_inside[i] = 0;
	}
}

/* skip-reset: devices say that they are reset and idle, and forget nothing; what they signalled stays. */

static bool idle(struct device *device)
{
	(void)device;
	return true;
}

static enum baton_progress reset(struct device *device, char *error)
{
	(void)device;
	(void)error;
	return BATON_DONE;
}

static void switch_models(void)
{
	static struct model forgetless[DEVICES_MAX];
	static const struct model *real[DEVICES_MAX];
	for (unsigned i = 0; i < machine.device_count; i++) {
		if (!real[i])
			real[i] = machine.devices[i].model;
		forgetless[i] = *real[i];
		forgetless[i].idle = idle;
		forgetless[i].reset = reset;
		machine.devices[i].model = skip_reset ? &forgetless[i] : real[i];
	}
}

bool __real_vfio_unmask(const struct device *device, char *error);
bool __wrap_vfio_unmask(const struct device *device, char *error);
bool __wrap_vfio_unmask(const struct device *device, char *error)
{
	return skip_reset || __real_vfio_unmask(device, error);
}

/* skip-drain: what a device signalled before the grant stays, and counts as nothing. */

uint64_t __real_vfio_drain(const struct device *device);
uint64_t __wrap_vfio_drain(const struct device *device);
uint64_t __wrap_vfio_drain(const struct device *device)
{
	return skip_reset || skip_drain ? 0 : __real_vfio_drain(device);
}

bool __wrap_vfio_has_signal(const struct device *device);
bool __wrap_vfio_has_signal(const struct device *device)
{
	return !skip_reset && !skip_drain && __real_vfio_has_signal(device);
}

bool sabotage(const char *name, bool on)
{
	const struct {
		const char *name;
		bool *is_off;
	} safeguards[] = {
		{ "skip-unmap", &skip_unmap }, { "skip-readback", &skip_readback }, { "skip-domain", &skip_domain },
		{ "skip-reset", &skip_reset }, { "skip-drain", &skip_drain },
	};
	for (size_t i = 0; i < sizeof safeguards / sizeof *safeguards; i++) {
		if (strcmp(name, safeguards[i].name) != 0)
			continue;
		*safeguards[i].is_off = on;
		switch_models();
		if (!skip_domain)
			tell_domains();
		return true;
	}
	return false;
}
