/* One VM under KVM (vm.h). */
#define _GNU_SOURCE
#include "vm.h"

#include <errno.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "faults.h"
#include "linux.h"
#include "vfio.h"
#include "virtio-vsock.h"

/* Number of interrupts of the guest's controller. */
#define GIC_INTERRUPTS 96
#define HUGE (2ULL << 20)
/* A slot that is never mapped, for queries to KVM. */
#define SLOT_OF_QUESTIONS (1 + RESOURCES_MAX)

static bool set_register(const struct vm *vm, uint64_t name, uint64_t value)
{
	struct kvm_one_reg reg = { .id = KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | name,
				   .addr = (uintptr_t)&value };
	return ioctl(vm->processor, KVM_SET_ONE_REG, &reg) == 0;
}

/* Private and aligned to 2 MiB: one block in the stage-2 tables. */
static bool make_ram(struct vm *vm, char *error)
{
	vm->ram_mapping_bytes = vm->ram_bytes + HUGE;
	vm->ram_mapping = mmap(NULL, vm->ram_mapping_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (vm->ram_mapping == MAP_FAILED) {
		vm->ram_mapping = NULL;
		return failed(error, "%s: map its RAM", vm->name);
	}
	vm->ram = (void *)(((uintptr_t)vm->ram_mapping + HUGE - 1) & ~(HUGE - 1));
	madvise(vm->ram, vm->ram_bytes, MADV_HUGEPAGE);
	if (vm->is_linux)
		vm->tree = linux_load(vm, error);
	if (vm->is_linux ? !vm->tree : !load_file(machine.guest, vm->ram, vm->ram_bytes, error))
		return false;
	/* Pinned for the lifetime of the VM, so that the cost of a move does not depend on its size. */
	return vfio_domain_open(&vm->domain, vm->ram, vm->ram_bytes, error) &&
	       vm_map(vm, 0, RAM_BASE, vm->ram_bytes, vm->ram, error);
}

static bool make_processor(struct vm *vm, char *error)
{
	vm->processor = ioctl(vm->fd, KVM_CREATE_VCPU, 0);
	if (vm->processor < 0)
		return failed(error, "%s: KVM_CREATE_VCPU", vm->name);
	int bytes = ioctl(machine.kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (bytes < 0)
		return failed(error, "KVM_GET_VCPU_MMAP_SIZE");
	vm->run_bytes = (size_t)bytes;
	vm->run = mmap(NULL, vm->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vm->processor, 0);
	if (vm->run == MAP_FAILED) {
		vm->run = NULL;
		return failed(error, "%s: map its processor", vm->name);
	}
	struct kvm_vcpu_init init;
	if (ioctl(vm->fd, KVM_ARM_PREFERRED_TARGET, &init))
		return failed(error, "%s: KVM_ARM_PREFERRED_TARGET", vm->name);
	init.features[0] |= 1u << KVM_ARM_VCPU_PSCI_0_2;
	if (ioctl(vm->processor, KVM_ARM_VCPU_INIT, &init))
		return failed(error, "%s: KVM_ARM_VCPU_INIT", vm->name);
	return true;
}

/* After the processor: KVM needs the number of processors. */
static bool make_gic(struct vm *vm, char *error)
{
	struct kvm_create_device create = { .type = KVM_DEV_TYPE_ARM_VGIC_V3 };
	if (ioctl(vm->fd, KVM_CREATE_DEVICE, &create))
		return failed(error, "%s: KVM_CREATE_DEVICE of a GICv3", vm->name);
	vm->gic = (int)create.fd;
	uint64_t distributor = GIC_DISTRIBUTOR, redistributor = GIC_REDISTRIBUTOR;
	uint32_t interrupts = GIC_INTERRUPTS;
	struct kvm_device_attr steps[] = {
		{ .group = KVM_DEV_ARM_VGIC_GRP_ADDR, .attr = KVM_VGIC_V3_ADDR_TYPE_DIST, .addr = (uintptr_t)&distributor },
		{ .group = KVM_DEV_ARM_VGIC_GRP_ADDR,
		  .attr = KVM_VGIC_V3_ADDR_TYPE_REDIST,
		  .addr = (uintptr_t)&redistributor },
		{ .group = KVM_DEV_ARM_VGIC_GRP_NR_IRQS, .addr = (uintptr_t)&interrupts },
		{ .group = KVM_DEV_ARM_VGIC_GRP_CTRL, .attr = KVM_DEV_ARM_VGIC_CTRL_INIT },
	};
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
		if (ioctl(vm->gic, KVM_SET_DEVICE_ATTR, &steps[i]))
			return failed(error, "%s: KVM_SET_DEVICE_ATTR %u/%llu of its GIC", vm->name, steps[i].group,
				      (unsigned long long)steps[i].attr);
	return true;
}

/*
 * Tells the guest its device: registers in x0, interrupt in x1, 1 in x2 for a level. Linux: the address of its tree in
 * x0.
 */
static bool set_registers(const struct vm *vm, char *error)
{
	uint64_t registers = 0, interrupt = 0, level = 0;
	for (unsigned i = 0; i < machine.resource_count; i++) {
		const struct resource *each = &machine.resources[i];
		if (each->device != vm->drives)
			continue;
		if (each->kind == MMIO)
			registers = each->views[vm->index];
		if (each->kind == INTERRUPT) {
			interrupt = each->views[vm->index];
			level = each->device->level;
		}
	}
	if (vm->is_linux)
		registers = vm->tree, interrupt = level = 0;
	/* Core registers are numbered in words of 4 bytes. */
	bool is_set = set_register(vm, 0, registers) && set_register(vm, 2, interrupt) && set_register(vm, 4, level) &&
		      set_register(vm, 64, RAM_BASE);
	return is_set || failed(error, "%s: KVM_SET_ONE_REG", vm->name);
}

static void release(struct vm *vm)
{
	if (vm->run)
		munmap(vm->run, vm->run_bytes);
	if (vm->gic >= 0)
		close(vm->gic);
	if (vm->processor >= 0)
		close(vm->processor);
	if (vm->fd >= 0)
		close(vm->fd);
	vsock_close(vm);
	vfio_domain_close(&vm->domain);
	if (vm->ram_mapping)
		munmap(vm->ram_mapping, vm->ram_mapping_bytes);
	vm->run = NULL;
	vm->ram = vm->ram_mapping = NULL;
	vm->fd = vm->processor = vm->gic = -1;
	vm->state = ABSENT;
}

bool vm_create(struct vm *vm, char *error)
{
	vm->processor = vm->gic = -1;
	vm->why[0] = 0;
	vm->stop = vm->ended = false;
	vm->may_go = false;
	vm->fd = ioctl(machine.kvm, KVM_CREATE_VM, 0);
	bool is_made = vm->fd >= 0 || failed(error, "%s: KVM_CREATE_VM", vm->name);
	if (is_made && make_ram(vm, error) && make_processor(vm, error) && make_gic(vm, error) &&
	    set_registers(vm, error) && (!vm->is_linux || vsock_open(vm, error)))
		return true;
	release(vm);
	return false;
}

/* Accesses registers that this process emulates for a Linux guest; false when there are none at the address. */
static bool play_registers(struct vm *vm)
{
	struct kvm_run *run = vm->run;
	uint32_t value = 0;
	memcpy(&value, run->mmio.data, sizeof value);
	bool is_ours = linux_console(vm, run->mmio.phys_addr, run->mmio.is_write, &value) ||
		       vsock_access(vm, run->mmio.phys_addr, run->mmio.is_write, &value);
	if (is_ours && !run->mmio.is_write)
		memcpy(run->mmio.data, &value, sizeof value);
	return is_ours;
}

/* KVM has no mapping at the address: the access was refused by a stage-2 abort. */
static void refuse_access(struct vm *vm)
{
	struct kvm_run *run = vm->run;
	bool is_write = run->mmio.is_write;
	faults_book(vm, run->mmio.phys_addr, run->mmio.len, is_write);
	if (!is_write)
		memset(run->mmio.data, 0xff, sizeof run->mmio.data);
	if (!vm->aborts)
		return;
	struct kvm_vcpu_events events = { .exception.ext_dabt_pending = 1 };
	if (ioctl(vm->processor, KVM_SET_VCPU_EVENTS, &events))
		failed(vm->why, "%s: KVM_SET_VCPU_EVENTS", vm->name);
}

static void *run_processor(void *argument)
{
	struct vm *vm = argument;
	/* A guest in a loop must not delay the main thread. On Linux niceness is per thread. */
	setpriority(PRIO_PROCESS, (id_t)gettid(), 10);
	while (!vm->stop && !vm->why[0]) {
		if (ioctl(vm->processor, KVM_RUN, 0)) {
			if (errno != EINTR && errno != EAGAIN)
				failed(vm->why, "%s: KVM_RUN", vm->name);
			continue;
		}
		if (vm->run->exit_reason == KVM_EXIT_MMIO) {
			if (!play_registers(vm))
				refuse_access(vm);
		} else if (vm->run->exit_reason == KVM_EXIT_SYSTEM_EVENT)
			break; /* it turned itself off */
		else
			snprintf(vm->why, sizeof vm->why, "%s: exit reason %u of KVM", vm->name, vm->run->exit_reason);
	}
	vm->ended = true;
	uint64_t one = 1;
	ssize_t rung = write(machine.bell, &one, sizeof one);
	(void)rung; /* A bell that is full rings already. */
	return NULL;
}

bool vm_run(struct vm *vm, char *error)
{
	pthread_t thread;
	errno = pthread_create(&thread, NULL, run_processor, vm);
	if (errno)
		return failed(error, "%s: start its thread", vm->name);
	vm->thread = thread;
	vm->has_thread = true;
	vm->state = RUNNING;
	return true;
}

void vm_kill(struct vm *vm)
{
	vm->stop = true;
	if (!vm->has_thread) {
		vm->ended = true;
		return;
	}
	/* The signal interrupts KVM_RUN; the flag prevents its start if the signal comes before it. */
	vm->run->immediate_exit = 1;
	pthread_kill(vm->thread, SIGUSR1);
}

bool vm_has_ended(struct vm *vm)
{
	if (!vm->ended || (vm->state != RUNNING && vm->state != STARTING))
		return false;
	if (vm->has_thread)
		pthread_join(vm->thread, NULL);
	vm->has_thread = false;
	vm->state = EXITED;
	return true;
}

void vm_free(struct vm *vm)
{
	release(vm);
}

bool vm_map(const struct vm *vm, unsigned slot, uint64_t address, uint64_t bytes, void *registers, char *error)
{
	struct kvm_userspace_memory_region region = { .slot = slot, .guest_phys_addr = address, .memory_size = bytes,
						      .userspace_addr = (uintptr_t)registers };
	return ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region) == 0 ||
	       failed(error, "%s: map slot %u at 0x%llx", vm->name, slot, (unsigned long long)address);
}

bool vm_unmap(const struct vm *vm, unsigned slot, uint64_t address, char *error)
{
	struct kvm_userspace_memory_region region = { .slot = slot, .guest_phys_addr = address };
	return ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region) == 0 ||
	       failed(error, "%s: unmap slot %u at 0x%llx", vm->name, slot, (unsigned long long)address);
}

/*
 * KVM has no call that lists slots. So an impossible slot is requested (device registers with write logging): KVM
 * checks for an overlap first, and the error shows the result.
 */
static int ask_for_slot(int fd, uint64_t address, void *registers)
{
	struct kvm_userspace_memory_region region = { .slot = SLOT_OF_QUESTIONS, .guest_phys_addr = address,
						      .memory_size = 4096, .userspace_addr = (uintptr_t)registers,
						      .flags = KVM_MEM_LOG_DIRTY_PAGES };
	return ioctl(fd, KVM_SET_USER_MEMORY_REGION, &region) ? errno : 0;
}

bool vm_is_mapped(const struct vm *vm, uint64_t address, void *registers)
{
	return ask_for_slot(vm->fd, address, registers) != EINVAL;
}

bool vm_can_ask(void *registers, char *error)
{
	int fd = ioctl(machine.kvm, KVM_CREATE_VM, 0);
	if (fd < 0)
		return failed(error, "KVM_CREATE_VM");
	struct vm scratch = { .name = "scratch", .fd = fd };
	bool is_free = ask_for_slot(fd, RAM_BASE, registers) == EINVAL;
	bool is_mapped = vm_map(&scratch, 0, RAM_BASE, 4096, registers, error);
	bool is_taken = is_mapped && ask_for_slot(fd, RAM_BASE, registers) == EEXIST;
	close(fd);
	if (is_mapped && !(is_free && is_taken))
		snprintf(error, ERROR_BYTES, "this kernel's KVM cannot be asked what it has mapped");
	return is_free && is_taken;
}

bool vm_connect(const struct vm *vm, const struct device *device, unsigned interrupt, bool on, char *error)
{
	struct kvm_irqfd irqfd = { .fd = (uint32_t)device->interrupt, .gsi = interrupt - 32 };
	if (!on)
		irqfd.flags |= KVM_IRQFD_FLAG_DEASSIGN;
	if (device->level) {
		irqfd.flags |= KVM_IRQFD_FLAG_RESAMPLE;
		irqfd.resamplefd = (uint32_t)device->unmask;
	}
	return ioctl(vm->fd, KVM_IRQFD, &irqfd) == 0 ||
	       failed(error, "%s: KVM_IRQFD %s of interrupt %u", vm->name, on ? "on" : "off", interrupt);
}
