/*
 * baton-kvm: owns the descriptors of a few small VMs and of the devices that move between them, and serves the enforcer
 * socket of docs/PLATFORMS.md. KVM, VFIO and the IOMMU driver isolate; this process makes their calls in the right
 * order.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "bundles.h"
#include "control.h"
#include "edu.h"
#include "platform.h"
#include "smmu.h"
#include "vfio.h"
#include "vm.h"
#include "xhci.h"

/* The version of package.json, which a test checks. */
#define VERSION "0.1.0"

static const char HELP[] =
	"baton-kvm --bundles FILE --vm NAME[:abort] --keeper PCI --device NAME=PCI --enforcer PORT --control PORT\n"
	"\n"
	"Moves devices between VMs that it owns, by KVM and VFIO.\n"
	"\n"
	"  --bundles FILE     the bundle file, the same for all parties; plain JSON\n"
	"  --vm NAME          a VM; once for each. NAME:abort: a refused access is an external abort in it,\n"
	"                     else it reads all ones and writes nothing\n"
	"  --keeper PCI       a PCI device under vfio-pci that keeps the IOMMU domain of a VM alive, and does nothing else;\n"
	"                     one for each VM, in their order\n"
	"  --device NAME=PCI  the PCI device (0000:00:05.0) that a bundle's device is; vfio-pci drives it\n"
	"  --guest FILE       what VMs run that are not Linux: loaded at 0x40000000 and entered there, with the address of\n"
	"                     its device's registers in x0, its interrupt in x1, and 1 in x2 when that is a level\n"
	"  --kernel FILE      kernel image of VMs that are started as Linux guests\n"
	"  --files FILE       their initial file system, a cpio archive\n"
	"  --edu-bytes N      bytes of edu's buffer that its DMA reaches: 4096, or 4095 before QEMU 8.2.1, which ends\n"
	"                     otherwise\n"
	"  --enforcer PORT    where the host is heard: a device such as /dev/vport0p1, or unix:/path\n"
	"  --control PORT     where VMs are started and ended, by JSON lines:\n"
	"                     {\"id\":1,\"do\":\"startVm\",\"vm\":NAME,\"linux\":1}\n"
	"                     {\"id\":2,\"do\":\"killVm\",\"vm\":NAME}   {\"id\":3,\"do\":\"end\"}\n";

/* Interval of the checks of a device that is being reset, in ms. */
#define DEVICE_LOOK_MS 1

static void end(int status, const char *why)
{
	fprintf(stderr, "baton-kvm: %s\n", why);
	exit(status);
}

struct options {
	const char *bundles, *enforcer, *control;
	const char *devices[DEVICES_MAX];
	unsigned device_count;
};

static void add_vm(const char *text)
{
	const char *colon = strchr(text, ':');
	size_t length = colon ? (size_t)(colon - text) : strlen(text);
	if (machine.vm_count == VMS_MAX || length == 0 || length >= NAME_BYTES || (colon && strcmp(colon, ":abort") != 0))
		end(64, "--vm: too many, or not NAME or NAME:abort");
	struct vm *vm = &machine.vms[machine.vm_count];
	memcpy(vm->name, text, length);
	vm->index = machine.vm_count++;
	vm->aborts = colon != NULL;
	vm->fd = vm->processor = vm->gic = vm->domain.container = vm->domain.group = -1;
}

static void add_keeper(const char *pci)
{
	static unsigned count;
	if (count == VMS_MAX || strlen(pci) >= PCI_BYTES)
		end(64, "--keeper: too many, or not like 0000:00:05.0");
	strcpy(machine.vms[count++].domain.keeper, pci);
}

static struct options read_options(int count, char **words)
{
	struct options options = { 0 };
	for (int i = 1; i < count; i++) {
		if (strcmp(words[i], "--help") == 0 || strcmp(words[i], "-h") == 0) {
			fputs(HELP, stdout);
			exit(0);
		}
		if (strcmp(words[i], "--version") == 0) {
			puts("baton-kvm " VERSION);
			exit(0);
		}
	}
	for (int i = 1; i < count; i += 2) {
		const char *name = words[i], *value = i + 1 < count ? words[i + 1] : NULL;
		if (!value)
			end(64, strncmp(name, "--", 2) == 0 ? "an unknown option, or one without its value; see --help"
							    : "options begin with --; see --help");
		if (strcmp(name, "--bundles") == 0)
			options.bundles = value;
		else if (strcmp(name, "--enforcer") == 0)
			options.enforcer = value;
		else if (strcmp(name, "--control") == 0)
			options.control = value;
		else if (strcmp(name, "--guest") == 0)
			machine.guest = value;
		else if (strcmp(name, "--kernel") == 0)
			machine.kernel = value;
		else if (strcmp(name, "--files") == 0)
			machine.files = value;
		else if (strcmp(name, "--vm") == 0)
			add_vm(value);
		else if (strcmp(name, "--keeper") == 0)
			add_keeper(value);
		else if (strcmp(name, "--edu-bytes") == 0 && (strcmp(value, "4095") == 0 || strcmp(value, "4096") == 0))
			edu_buffer_bytes = (uint32_t)atoi(value);
		else if (strcmp(name, "--device") == 0 && options.device_count < DEVICES_MAX)
			options.devices[options.device_count++] = value;
		else
			end(64, "unknown option; see --help");
	}
	if (!options.bundles || !options.enforcer || !options.control || machine.vm_count == 0)
		end(64, "--bundles, --enforcer, --control and --vm are needed; see --help");
	for (unsigned i = 0; i < machine.vm_count; i++)
		if (!machine.vms[i].domain.keeper[0])
			end(64, "--keeper is needed for each VM; see --help");
	return options;
}

/* The device's place on the PCI bus is the stream ID of its DMA. */
static uint64_t stream_of(const struct device *device)
{
	unsigned bus, slot, function;
	if (sscanf(device->pci, "%*x:%x:%x.%x", &bus, &slot, &function) != 3)
		return UINT64_MAX;
	return bus << 8 | slot << 3 | function;
}

/* Returns the physical address of the device's registers; 0 if unknown. */
static uint64_t registers_of(const struct device *device)
{
	char path[64];
	unsigned long long at = 0;
	snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/resource", device->pci);
	FILE *file = fopen(path, "r");
	if (!file)
		return 0;
	if (fscanf(file, "%llx", &at) != 1)
		at = 0;
	fclose(file);
	return at;
}

/* Checks that the bundle file describes this device. */
static void check_resources(const struct device *device)
{
	for (unsigned i = 0; i < machine.resource_count; i++) {
		const struct resource *each = &machine.resources[i];
		char why[ERROR_BYTES];
		uint64_t is = each->kind == MMIO ? registers_of(device) : stream_of(device);
		if (each->device != device || each->kind == INTERRUPT)
			continue;
		snprintf(why, sizeof why, "%s: it is at 0x%llx, the bundle file says 0x%llx", each->name,
			 (unsigned long long)is, (unsigned long long)each->physical);
		if (each->physical != is)
			end(78, why);
		snprintf(why, sizeof why, "%s: the device has no more than %llu bytes", each->name,
			 (unsigned long long)device->registers_bytes);
		if (each->kind == MMIO && each->bytes > device->registers_bytes)
			end(78, why);
	}
}

static unsigned pci_number(const struct device *device, const char *what)
{
	char path[64];
	unsigned number = 0;
	snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/%s", device->pci, what);
	FILE *file = fopen(path, "r");
	if (!file)
		return 0;
	if (fscanf(file, "%x", &number) != 1)
		number = 0;
	fclose(file);
	return number;
}

/* Finds the model with the device's reset. A device without one cannot be lent. */
static const struct model *model_of(const struct device *device)
{
	static const struct model *const models[] = { &EDU, &XHCI };
	unsigned vendor = pci_number(device, "vendor"), product = pci_number(device, "device");
	for (size_t i = 0; i < sizeof models / sizeof *models; i++)
		if (models[i]->vendor == vendor && models[i]->product == product)
			return models[i];
	char why[ERROR_BYTES];
	snprintf(why, sizeof why, "%s: nobody here knows how to reset PCI device %s (%04x:%04x)", device->name,
		 device->pci, vendor, product);
	end(78, why);
	return NULL;
}

static void open_device(struct device *device, const struct options *options)
{
	char error[ERROR_BYTES];
	size_t length = strlen(device->name);
	const char *pci = NULL;
	for (unsigned i = 0; i < options->device_count; i++)
		if (strncmp(options->devices[i], device->name, length) == 0 && options->devices[i][length] == '=')
			pci = options->devices[i] + length + 1;
	snprintf(error, sizeof error, "--device %.64s=PCI is missing", device->name);
	if (!pci || strlen(pci) >= sizeof device->pci)
		end(78, error);
	strcpy(device->pci, pci);
	device->model = model_of(device);
	if (!vfio_open(device, error) || !vfio_can_ask(device, error) || !vm_can_ask(device->registers, error))
		end(71, error);
	check_resources(device);
}

static void do_nothing(int signal)
{
	(void)signal;
}

static void set_up(const struct options *options)
{
	char error[ERROR_BYTES];
	struct sigaction ignore = { .sa_handler = SIG_IGN }, wake = { .sa_handler = do_nothing };
	sigaction(SIGPIPE, &ignore, NULL);
	sigaction(SIGUSR1, &wake, NULL); /* it only has to interrupt KVM_RUN */
	machine.bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	machine.kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (machine.kvm < 0 || machine.bell < 0) {
		failed(error, "open /dev/kvm");
		end(71, error);
	}
	if (!bundles_load(options->bundles, error))
		end(78, error);
	for (unsigned i = 0; i < machine.device_count; i++)
		open_device(&machine.devices[i], options);
	if (!platform_open(options->enforcer, error) ||
	    !baton_port_open(&control_port, options->control, error, sizeof error))
		end(71, error);
}

int main(int count, char **words)
{
	struct options options = read_options(count, words);
	char error[ERROR_BYTES];
	set_up(&options);
	int log = smmu_open(error);
	if (log < 0)
		fprintf(stderr, "baton-kvm: %s: refused DMA is not reported\n", error);
	fprintf(stderr, "baton-kvm: ready\n");
	const struct port_user control = { .take = control_take };
	bool waits = false;
	while (!control_is_over()) {
		struct pollfd wanted[] = {
			platform_poll(),
			baton_port_poll(&control_port),
			{ .fd = machine.bell, .events = POLLIN },
			{ .fd = log, .events = POLLIN },
		};
		poll(wanted, sizeof wanted / sizeof *wanted, waits ? DEVICE_LOOK_MS : BATON_LOOK_MS);
		uint64_t rung;
		if (wanted[2].revents && read(machine.bell, &rung, sizeof rung) < 0)
			continue;
		if (wanted[3].revents)
			smmu_read();
		baton_port_serve(&control_port, wanted[1].revents, &control);
		control_turn();
		waits = platform_serve(wanted[0].revents);
	}
	return 0;
}
