/* Finds the bundle of a refused access (faults.h). */
#include "faults.h"

#include <stdio.h>

static struct baton *baton;

void faults_go_to(struct baton *to)
{
	baton = to;
}

/*
 * Returns the registers at this address of the VM; NULL if they are in no bundle. Addresses never change, so no lock is
 * needed.
 */
static const struct resource *registers_at(const struct vm *vm, uint64_t address)
{
	for (unsigned i = 0; i < machine.resource_count; i++) {
		const struct resource *each = &machine.resources[i];
		uint64_t view = each->views[vm->index];
		if (each->kind == MMIO && address >= view && address - view < each->bytes)
			return each;
	}
	return NULL;
}

static const struct resource *stream_of(uint32_t stream)
{
	for (unsigned i = 0; i < machine.resource_count; i++)
		if (machine.resources[i].kind == STREAM && machine.resources[i].physical == stream)
			return &machine.resources[i];
	return NULL;
}

static void book(struct baton_fault fault, const struct resource *resource)
{
	if (resource) {
		fault.bundle = resource->device->bundle->name;
		fault.resource = resource->name;
	}
	baton_fault(baton, &fault);
}

void faults_book(const struct vm *vm, uint64_t address, unsigned bytes, bool write)
{
	struct baton_fault fault = { .vm = vm->name, .address = address, .bytes = bytes, .write = write,
				     .event = "stage-2 abort" };
	book(fault, registers_at(vm, address));
}

void faults_book_stream(uint32_t stream, uint64_t address, bool write, unsigned event)
{
	char text[32];
	snprintf(text, sizeof text, "%s 0x%02x", event == 0x10 ? "F_TRANSLATION" : "SMMU event", event);
	struct baton_fault fault = { .stream = stream, .address = address, .write = write, .event = text };
	book(fault, stream_of(stream));
}
