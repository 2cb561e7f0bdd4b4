/* baton-kvm's side of the enforcer library (platform.h): names, calls, ends of VMs. */
#include "platform.h"

#include <stdio.h>

#include "enforcer/baton-enforcer.h"
#include "faults.h"
#include "move.h"
#include "vm.h"

static struct baton *baton;

static void *find_bundle(void *context, const char *name)
{
	(void)context;
	return bundle_named(name);
}

static void *find_device(void *bundle, const char *name)
{
	return device_named(bundle, name);
}

static void *find_resource(void *bundle, const char *name)
{
	return resource_named(bundle, name);
}

static bool fence(void *resource, char *error)
{
	return move_fence(resource, error);
}

static bool settle(void *bundle, unsigned *syncs, char *error)
{
	return move_settle(bundle, syncs, error);
}

static enum baton_progress reset(void *device, char *error)
{
	return move_reset(device, error);
}

static bool drained(void *device)
{
	return move_is_drained(device);
}

static bool grant(void *resource, const char *vm, char *error)
{
	return move_grant(resource, vm, error);
}

static const char *inspect(void *resource)
{
	return move_inspect(resource);
}

static void may_run(void *context, const char *name)
{
	struct vm *vm = vm_named(name);
	char error[ERROR_BYTES];
	(void)context;
	if (vm_run(vm, error))
		return;
	/* A VM that cannot run has ended: the next turn reports it to the host. */
	fprintf(stderr, "%s\n", error);
	vm->ended = true;
}

static void may_free(void *context, const char *name)
{
	(void)context;
	vm_named(name)->may_go = true;
}

static const struct baton_platform PLATFORM = {
	.name = "kvm",
	.evidence = "observed",
	.can = { .force_revoke = true, .reset = true, .fault_report = true },
	.find_bundle = find_bundle,
	.find_device = find_device,
	.find_resource = find_resource,
	.fence = fence,
	.settle = settle,
	.reset = reset,
	.drained = drained,
	.grant = grant,
	.inspect = inspect,
	.may_run = may_run,
	.may_free = may_free,
};

bool platform_open(const char *address, char *error)
{
	baton = baton_open(&PLATFORM, address, error);
	faults_go_to(baton);
	return baton != NULL;
}

struct pollfd platform_poll(void)
{
	return baton_poll(baton);
}

/* Frees VMs whose end was acknowledged, unless a device still reaches them. */
static void free_ended(void)
{
	for (unsigned i = 0; i < machine.vm_count; i++) {
		struct vm *vm = &machine.vms[i];
		if (vm->state != EXITED || !vm->may_go || move_holds(vm))
			continue;
		for (unsigned j = 0; j < machine.device_count; j++)
			if (machine.devices[j].used_by == vm)
				machine.devices[j].used_by = NULL;
		vm_free(vm);
	}
}

bool platform_serve(short events)
{
	bool waits = baton_serve(baton, events);
	free_ended();
	for (unsigned i = 0; i < machine.vm_count; i++) {
		struct vm *vm = &machine.vms[i];
		if (!vm_has_ended(vm))
			continue;
		if (vm->why[0])
			fprintf(stderr, "%s\n", vm->why);
		baton_vm_exited(baton, vm->name);
	}
	return waits;
}

void platform_tell_start(const struct vm *vm)
{
	baton_vm_starting(baton, vm->name);
}
