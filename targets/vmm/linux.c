/*
 * A VM whose guest is Linux (linux.h). Linux, Documentation/arm64/booting.rst: the image at a multiple of 2 MiB, its
 * tree in x0.
 */
#include "linux.h"

#include <stdio.h>
#include <string.h>

#include "fdt.h"
#include "virtio-vsock.h"
#include "vm.h"

/* Layout of the RAM: the kernel at its start (Debian's takes 34 MiB with its bss), then tree and file system. */
#define TREE_AT (56ULL << 20)
#define FILES_AT (58ULL << 20)
/* The 16550's registers are 4 bytes apart (reg-shift 2): data, interrupt identification, line status. */
#define UART_DATA 0
#define UART_IDENTIFICATION 8
#define UART_STATUS 20
/* Reports FIFOs and no pending interrupt: otherwise the driver sends a few bytes and then waits. */
#define UART_NO_INTERRUPT 0xc2
#define UART_EMPTY 0x60
#define GIC 1

static void reg(struct fdt *fdt, uint64_t address, uint64_t bytes)
{
	FDT_CELLS(fdt, "reg", (uint32_t)(address >> 32), (uint32_t)address, (uint32_t)(bytes >> 32), (uint32_t)bytes);
}

/* Describes one device as this VM sees it, whether or not the VM holds it now. */
static void describe(struct fdt *fdt, const struct vm *vm, const struct device *device)
{
	const struct resource *registers = NULL, *interrupt = NULL;
	for (unsigned i = 0; i < machine.resource_count; i++) {
		const struct resource *each = &machine.resources[i];
		if (each->device == device && each->kind == MMIO)
			registers = each;
		if (each->device == device && each->kind == INTERRUPT)
			interrupt = each;
	}
	if (!registers || !device->model->compatible)
		return;
	char name[NAME_BYTES + 20];
	uint64_t at = registers->views[vm->index];
	snprintf(name, sizeof name, "%s@%llx", device->name, (unsigned long long)at);
	fdt_begin(fdt, name);
	fdt_text(fdt, "compatible", device->model->compatible);
	fdt_flag(fdt, "dma-coherent");
	reg(fdt, at, registers->bytes);
	if (interrupt)
		FDT_CELLS(fdt, "interrupts", 0, (uint32_t)interrupt->views[vm->index] - 32, device->level ? 4 : 1);
	fdt_end(fdt);
}

static void describe_machine(struct fdt *fdt, const struct vm *vm)
{
	fdt_begin(fdt, "memory@40000000");
	fdt_text(fdt, "device_type", "memory");
	reg(fdt, RAM_BASE, vm->ram_bytes);
	fdt_end(fdt);
	fdt_begin(fdt, "cpus");
	FDT_CELLS(fdt, "#address-cells", 1);
	FDT_CELLS(fdt, "#size-cells", 0);
	fdt_begin(fdt, "cpu@0");
	fdt_text(fdt, "device_type", "cpu");
	fdt_text(fdt, "compatible", "arm,armv8");
	FDT_CELLS(fdt, "reg", 0);
	fdt_end(fdt);
	fdt_end(fdt);
	fdt_begin(fdt, "psci");
	fdt_text(fdt, "compatible", "arm,psci-0.2");
	fdt_text(fdt, "method", "hvc");
	fdt_end(fdt);
	fdt_begin(fdt, "timer");
	fdt_text(fdt, "compatible", "arm,armv8-timer");
	FDT_CELLS(fdt, "interrupts", 1, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4);
	fdt_end(fdt);
	fdt_begin(fdt, "interrupt-controller@8000000");
	fdt_text(fdt, "compatible", "arm,gic-v3");
	FDT_CELLS(fdt, "#interrupt-cells", 3);
	fdt_flag(fdt, "interrupt-controller");
	FDT_CELLS(fdt, "reg", 0, GIC_DISTRIBUTOR, 0, 0x10000, 0, GIC_REDISTRIBUTOR, 0, 0x20000);
	FDT_CELLS(fdt, "phandle", GIC);
	fdt_end(fdt);
	fdt_begin(fdt, "serial@9000000");
	fdt_text(fdt, "compatible", "ns16550a");
	reg(fdt, LINUX_CONSOLE, 0x1000);
	FDT_CELLS(fdt, "clock-frequency", 1843200);
	FDT_CELLS(fdt, "reg-shift", 2);
	FDT_CELLS(fdt, "reg-io-width", 4);
	fdt_end(fdt);
	fdt_begin(fdt, "virtio_mmio@9010000");
	fdt_text(fdt, "compatible", "virtio,mmio");
	reg(fdt, VSOCK_REGISTERS, 0x200);
	FDT_CELLS(fdt, "interrupts", 0, VSOCK_INTERRUPT - 32, 1);
	fdt_flag(fdt, "dma-coherent");
	fdt_end(fdt);
}

static size_t make_tree(const struct vm *vm, void *to, size_t size, size_t files_bytes)
{
	static struct fdt fdt;
	fdt.structure_bytes = fdt.strings_bytes = 0;
	fdt.overflown = false;
	char arguments[128];
	snprintf(arguments, sizeof arguments, "console=ttyS0 quiet panic=-1 cma=0 vm=%s", vm->name);
	fdt_begin(&fdt, "");
	FDT_CELLS(&fdt, "#address-cells", 2);
	FDT_CELLS(&fdt, "#size-cells", 2);
	fdt_text(&fdt, "compatible", "baton,guest");
	FDT_CELLS(&fdt, "interrupt-parent", GIC);
	fdt_begin(&fdt, "chosen");
	fdt_text(&fdt, "bootargs", arguments);
	FDT_CELLS(&fdt, "linux,initrd-start", (uint32_t)(RAM_BASE + FILES_AT));
	FDT_CELLS(&fdt, "linux,initrd-end", (uint32_t)(RAM_BASE + FILES_AT + files_bytes));
	fdt_end(&fdt);
	describe_machine(&fdt, vm);
	for (unsigned i = 0; i < machine.device_count; i++)
		describe(&fdt, vm, &machine.devices[i]);
	fdt_end(&fdt);
	return fdt_finish(&fdt, to, size);
}

uint64_t linux_load(struct vm *vm, char *error)
{
	char *ram = vm->ram;
	if (!load_file(machine.kernel, ram, TREE_AT, error))
		return 0;
	size_t files = load_file(machine.files, ram + FILES_AT, vm->ram_bytes - FILES_AT, error);
	if (files == 0)
		return 0;
	if (make_tree(vm, ram + TREE_AT, FILES_AT - TREE_AT, files))
		return RAM_BASE + TREE_AT;
	snprintf(error, ERROR_BYTES, "%s: its device tree does not fit", vm->name);
	return 0;
}

bool linux_console(struct vm *vm, uint64_t address, bool is_write, uint32_t *value)
{
	if (!vm->is_linux || address - LINUX_CONSOLE >= 0x1000)
		return false;
	unsigned at = (unsigned)(address - LINUX_CONSOLE);
	if (!is_write) {
		*value = at == UART_STATUS ? UART_EMPTY : at == UART_IDENTIFICATION ? UART_NO_INTERRUPT : 0;
		return true;
	}
	char letter = (char)*value;
	if (at != UART_DATA || letter == '\r')
		return true;
	bool is_full = vm->line_length == sizeof vm->line - 1;
	if (letter != '\n' && !is_full)
		vm->line[vm->line_length++] = letter >= 32 && letter < 127 ? letter : '?';
	if (letter == '\n' || is_full) {
		vm->line[vm->line_length] = 0;
		vm->line_length = 0;
		printf("%s| %s\n", vm->name, vm->line);
		fflush(stdout);
	}
	return true;
}
