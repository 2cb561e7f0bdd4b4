/*
 * What the tests ask of baton-kvm beyond starting and ending VMs: to look into guests, to be the world outside, and
 * sabotage. On the control port (control.h); the linker leads control_take here (Makefile). The id of a request comes
 * back with its answer.
 *
 *   {"do":"crash"}: as killed, without an answer
 *   {"do":"sabotage","name":"skip-unmap","on":1}: switches a safeguard off, or with 0 on again (sabotage.h)
 *   {"do":"master","bundle":"b","device":"d","on":0}: takes the device's leave to be a bus master behind the
 *   enforcer's back
 *   {"do":"exits","vm":"a"}  ->  "reads":5,"writes":0,"address":167772160: what KVM refused since the VM was made, and
 *   the last address
 *   {"do":"peek","vm":"a","address":"0x40100000","words":8}  ->  "words":["0x…",…]
 *   {"do":"poke","vm":"a","address":"0x40100038","value":1}
 *   {"do":"raise","bundle":"b","device":"d","value":5}: the world outside makes QEMU's `edu` signal
 *   {"do":"signal","bundle":"b","device":"d"}  ->  "waits":true when a signal has come that nobody took
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "control.h"
#include "edu.h"
#include "faults.h"
#include "sabotage.h"
#include "vfio.h"
#include "vm.h"

#define WORDS_MAX 64
/* Where `edu` takes what it is to signal. */
#define EDU_RAISE 0x60

/* Accesses that KVM refused, by the VM's index: written by the VM's thread. */
static struct {
	atomic_ullong reads, writes, at;
} refused[VMS_MAX];

void __real_faults_book(const struct vm *vm, uint64_t address, unsigned bytes, bool write);
void __wrap_faults_book(const struct vm *vm, uint64_t address, unsigned bytes, bool write);
void __wrap_faults_book(const struct vm *vm, uint64_t address, unsigned bytes, bool write)
{
	atomic_fetch_add(write ? &refused[vm->index].writes : &refused[vm->index].reads, 1);
	refused[vm->index].at = address;
	__real_faults_book(vm, address, bytes, write);
}

bool __real_vm_create(struct vm *vm, char *error);
bool __wrap_vm_create(struct vm *vm, char *error);
bool __wrap_vm_create(struct vm *vm, char *error)
{
	refused[vm->index].reads = refused[vm->index].writes = refused[vm->index].at = 0;
	return __real_vm_create(vm, error);
}

static bool refuse(char *error, const char *what, const char *why)
{
	snprintf(error, ERROR_BYTES, "%s: %s", what, why);
	return false;
}

/* A word of the VM's RAM; NULL with an error when `address` is not in it. */
static uint64_t *word_at(const struct vm *vm, uint64_t address, char *error)
{
	if (vm->ram && address % 8 == 0 && address >= RAM_BASE && address - RAM_BASE < vm->ram_bytes)
		return (uint64_t *)((char *)vm->ram + (address - RAM_BASE));
	snprintf(error, ERROR_BYTES, "%s: no RAM at 0x%llx", vm->name, (unsigned long long)address);
	return NULL;
}

static bool peek(const struct vm *vm, uint64_t address, uint64_t words, struct text *out, char *error)
{
	if (words > WORDS_MAX)
		return refuse(error, vm->name, "too many words at a time");
	baton_text_add(out, ",\"words\":[");
	for (uint64_t i = 0; i < words; i++) {
		const uint64_t *word = word_at(vm, address + i * 8, error);
		if (!word)
			return false;
		baton_text_add(out, "%s\"0x%llx\"", i ? "," : "",
			       (unsigned long long)__atomic_load_n(word, __ATOMIC_SEQ_CST));
	}
	baton_text_add(out, "]");
	return true;
}

static bool poke(const struct vm *vm, uint64_t address, uint64_t value, char *error)
{
	uint64_t *word = word_at(vm, address, error);
	if (word)
		__atomic_store_n(word, value, __ATOMIC_SEQ_CST);
	return word != NULL;
}

static bool raise_edu(struct device *device, uint32_t value, char *error)
{
	if (device->model->vendor != EDU.vendor || device->model->product != EDU.product)
		return refuse(error, device->name, "cannot be made to signal");
	((volatile uint32_t *)device->registers)[EDU_RAISE / 4] = value;
	return true;
}

static bool on_device(const struct json *request, struct text *out, char *error)
{
	const char *what = baton_json_text(request, "do");
	uint64_t value = 1;
	struct bundle *bundle = bundle_named(baton_json_text(request, "bundle"));
	struct device *device = bundle ? device_named(bundle, baton_json_text(request, "device")) : NULL;
	if (!device)
		return refuse(error, baton_json_text(request, "device"), "no such device");
	if (strcmp(what, "master") == 0)
		return baton_json_whole(request, "on", &value) && vfio_master(device, value, error);
	baton_json_whole(request, "value", &value);
	if (strcmp(what, "raise") == 0)
		return raise_edu(device, (uint32_t)value, error);
	baton_text_add(out, ",\"waits\":%s", __real_vfio_has_signal(device) ? "true" : "false");
	return true;
}

static bool on_vm(const struct json *request, struct text *out, char *error)
{
	const char *what = baton_json_text(request, "do");
	const struct vm *vm = vm_named(baton_json_text(request, "vm"));
	uint64_t address = 0, number = 1;
	if (!vm)
		return refuse(error, what, "unknown VM");
	baton_json_whole(request, "address", &address);
	if (strcmp(what, "peek") == 0 && baton_json_whole(request, "words", &number))
		return peek(vm, address, number, out, error);
	if (strcmp(what, "poke") == 0 && baton_json_whole(request, "value", &number))
		return poke(vm, address, number, error);
	if (strcmp(what, "exits") != 0)
		return refuse(error, what, "something is missing");
	baton_text_add(out, ",\"reads\":%llu,\"writes\":%llu,\"address\":%llu", refused[vm->index].reads,
		       refused[vm->index].writes, refused[vm->index].at);
	return true;
}

static bool switch_safeguard(const struct json *request, struct text *out, char *error)
{
	uint64_t on = 0;
	const char *name = baton_json_text(request, "name");
	(void)out;
	return (baton_json_whole(request, "on", &on) && sabotage(name, on)) ||
	       refuse(error, name, "no such safeguard, or \"on\" is missing");
}

static bool crash(const struct json *request, struct text *out, char *error)
{
	(void)request;
	(void)out;
	raise(SIGKILL);
	return refuse(error, "crash", "it lives");
}

static const struct {
	const char *what;
	bool (*serve)(const struct json *request, struct text *out, char *error);
} REQUESTS[] = {
	{ "crash", crash },	 { "sabotage", switch_safeguard }, { "master", on_device }, { "raise", on_device },
	{ "signal", on_device }, { "exits", on_vm },		   { "peek", on_vm },	    { "poke", on_vm },
};

static void answer(const struct json *request, unsigned index)
{
	static char bytes[4096];
	char error[ERROR_BYTES] = "";
	struct text out = { .bytes = bytes, .size = sizeof bytes };
	uint64_t id = 0;
	baton_json_whole(request, "id", &id);
	baton_text_add(&out, "{\"id\":%llu,\"ok\":true", (unsigned long long)id);
	if (!REQUESTS[index].serve(request, &out, error)) {
		out.used = 0;
		baton_text_add(&out, "{\"id\":%llu,\"ok\":false,\"error\":", (unsigned long long)id);
		baton_text_quote(&out, error);
	}
	baton_text_add(&out, "}");
	baton_port_send(&control_port, &out);
}

void __real_control_take(void *context, char *line);
void __wrap_control_take(void *context, char *line);
void __wrap_control_take(void *context, char *line)
{
	static char copy[LINE_BYTES_MAX + 1];
	/* Reading changes the line: what is not ours is handed on as it came. */
	strcpy(copy, line);
	const struct json *request = baton_json_read(copy);
	for (unsigned i = 0; i < sizeof REQUESTS / sizeof *REQUESTS; i++)
		if (strcmp(baton_json_text(request, "do"), REQUESTS[i].what) == 0)
			return answer(request, i);
	__real_control_take(context, line);
}
