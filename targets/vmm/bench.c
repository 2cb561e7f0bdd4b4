/*
 * The bench (bench.h). One JSON object a line; the id of a request comes back with its answer.
 *
 *   {"id":1,"do":"startVm","vm":"a"}: its guest drives the first device, or that of "bundle" and "device"; with "ram"
 *   bytes of RAM, a multiple of 2 MiB, else 2 MiB; with "linux":1 it is Linux, with 96 MiB. Answered when it is made;
 *   others are meanwhile
 *   {"do":"killVm","vm":"a"}   {"do":"end"}   {"do":"crash"}: as killed, without an answer
 *   {"do":"lie","name":"skip-unmap","on":1}: switches a safeguard off, or with 0 on again
 *   {"do":"master","bundle":"b","device":"d","on":0}: takes the device's leave to be a bus master behind the
 *   enforcer's back
 *   {"do":"exits","vm":"a"}  ->  "reads":5,"writes":0,"address":167772160: what KVM refused in this life, and the
 *   last address
 *   {"do":"peek","vm":"a","address":"0x40100000","words":8}  ->  "words":["0x…",…]
 *   {"do":"poke","vm":"a","address":"0x40100038","value":1}
 *   {"do":"raise","bundle":"b","device":"d","value":5}: the world outside makes the device signal
 *   {"do":"signal","bundle":"b","device":"d"}  ->  "waits":true when a signal has come that nobody took
 */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "enforcer.h"
#include "linux.h"
#include "vfio.h"
#include "vm.h"

#define WORDS_MAX 64

struct port bench_port;
static bool over;

/*
 * A VM that is being made. On a thread of its own, for to load and pin the RAM of a guest takes seconds on a busy
 * machine, and no move of another VM's bundle may wait for that: its host would take the silence for a failure, and put
 * the bundle into quarantine.
 */
static struct {
	struct vm *vm; /* NULL: none is */
	uint64_t id;   /* of the request that waits for its answer */
	pthread_t thread;
	bool is_made;
	atomic_bool is_done;
	char error[ERROR_BYTES];
} birth;

static void *make(void *ignored)
{
	uint64_t one = 1;
	/* As the guest itself: never instead of the main thread. */
	setpriority(PRIO_PROCESS, (id_t)gettid(), 10);
	birth.is_made = vm_create(birth.vm, birth.error);
	birth.is_done = true;
	ssize_t rung = write(machine.bell, &one, sizeof one);
	(void)rung; /* A bell that is full rings already. */
	return ignored;
}

/* Begins to make a VM; bench_turn answers. */
static bool start(const struct json *request, uint64_t id, char *error)
{
	struct vm *vm = vm_named(json_text(request, "vm"));
	struct bundle *bundle = bundle_named(json_text(request, "bundle"));
	struct device *device = bundle ? device_named(bundle, json_text(request, "device")) : NULL;
	uint64_t ram = RAM_BYTES, is_linux = 0;
	if (json_get(request, "ram") &&
	    (!json_whole(request, "ram", &ram) || !ram || ram % RAM_BYTES || ram > RAM_BYTES_MAX)) {
		snprintf(error, ERROR_BYTES, "ram: a multiple of 2 MiB, at most 256 MiB");
		return false;
	}
	if (!vm || birth.vm) {
		snprintf(error, ERROR_BYTES, "%s", vm ? "another VM is being made" : "unknown VM");
		return false;
	}
	if (vm->life != ABSENT) {
		snprintf(error, ERROR_BYTES, "%s: its last life is not over", vm->name);
		return false;
	}
	json_whole(request, "linux", &is_linux);
	if (is_linux && !(machine.kernel && machine.files)) {
		snprintf(error, ERROR_BYTES, "no Linux to start: --kernel and --files");
		return false;
	}
	vm->is_linux = is_linux;
	vm->drives = device ? device : &machine.devices[0];
	vm->ram_bytes = is_linux ? LINUX_RAM_BYTES : ram;
	birth.vm = vm;
	birth.id = id;
	birth.is_done = false;
	errno = pthread_create(&birth.thread, NULL, make, NULL);
	if (errno == 0)
		return true;
	birth.vm = NULL;
	return failed(error, "%s: start the thread that makes it", vm->name);
}

static bool peek(const struct vm *vm, uint64_t address, uint64_t words, struct text *out, char *error)
{
	if (words > WORDS_MAX) {
		snprintf(error, ERROR_BYTES, "at most %d words", WORDS_MAX);
		return false;
	}
	text_add(out, ",\"words\":[");
	for (uint64_t i = 0; i < words; i++) {
		const uint64_t *word = vm_word(vm, address + i * 8);
		if (!word) {
			snprintf(error, ERROR_BYTES, "%s: no RAM at 0x%llx", vm->name, (unsigned long long)(address + i * 8));
			return false;
		}
		text_add(out, "%s\"0x%llx\"", i ? "," : "", (unsigned long long)__atomic_load_n(word, __ATOMIC_SEQ_CST));
	}
	text_add(out, "]");
	return true;
}

static bool poke(const struct vm *vm, uint64_t address, uint64_t value, char *error)
{
	uint64_t *word = vm_word(vm, address);
	if (!word) {
		snprintf(error, ERROR_BYTES, "%s: no RAM at 0x%llx", vm->name, (unsigned long long)address);
		return false;
	}
	__atomic_store_n(word, value, __ATOMIC_SEQ_CST);
	return true;
}

/* raise and signal. */
static bool on_device(const struct json *request, bool raises, struct text *out, char *error)
{
	uint64_t value = 1;
	struct bundle *bundle = bundle_named(json_text(request, "bundle"));
	struct device *device = bundle ? device_named(bundle, json_text(request, "device")) : NULL;
	if (!device) {
		snprintf(error, ERROR_BYTES, "no such device");
		return false;
	}
	json_whole(request, "value", &value);
	if (json_whole(request, "on", &value))
		return vfio_master(device, value, error);
	if (raises)
		device->model->raise(device, (uint32_t)value);
	else
		text_add(out, ",\"waits\":%s", vfio_has_signal(device) ? "true" : "false");
	return true;
}

static bool set_lie(const struct json *request, char *error)
{
	uint64_t on = 0;
	bool *lie = lie_named(json_text(request, "name"));
	if (!lie || !json_whole(request, "on", &on)) {
		snprintf(error, ERROR_BYTES, "no such lie, or \"on\" is missing");
		return false;
	}
	*lie = on;
	return true;
}

static bool serve(const struct json *request, struct text *out, char *error)
{
	const char *what = json_text(request, "do");
	uint64_t address = 0, number = 1;
	if (strcmp(what, "end") == 0)
		return over = true;
	if (strcmp(what, "crash") == 0)
		raise(SIGKILL);
	if (strcmp(what, "lie") == 0)
		return set_lie(request, error);
	if (strcmp(what, "raise") == 0 || strcmp(what, "signal") == 0 || strcmp(what, "master") == 0)
		return on_device(request, what[0] == 'r', out, error);
	struct vm *vm = vm_named(json_text(request, "vm"));
	json_whole(request, "address", &address);
	if (!vm) {
		snprintf(error, ERROR_BYTES, "unknown request or VM");
		return false;
	}
	if (strcmp(what, "exits") == 0) {
		text_add(out, ",\"reads\":%llu,\"writes\":%llu,\"address\":%llu", vm->refused_reads, vm->refused_writes,
			 vm->refused_at);
		return true;
	}
	if (strcmp(what, "killVm") == 0) {
		vm_kill(vm);
		return true;
	}
	if (strcmp(what, "peek") == 0 && json_whole(request, "words", &number))
		return peek(vm, address, number, out, error);
	if (strcmp(what, "poke") == 0 && json_whole(request, "value", &number))
		return poke(vm, address, number, error);
	snprintf(error, ERROR_BYTES, "unknown request");
	return false;
}

static void answer_failure(uint64_t id, const char *error)
{
	static char bytes[4096];
	struct text out = { .bytes = bytes, .size = sizeof bytes };
	text_add(&out, "{\"id\":%llu,\"ok\":false,\"error\":", (unsigned long long)id);
	text_quote(&out, error);
	text_add(&out, "}");
	port_send(&bench_port, &out);
}

void bench_take(char *line)
{
	static char bytes[4096];
	char error[ERROR_BYTES] = "";
	struct text out = { .bytes = bytes, .size = sizeof bytes };
	const struct json *request = json_read(line);
	uint64_t id = 0;
	json_whole(request, "id", &id);
	if (strcmp(json_text(request, "do"), "startVm") == 0) {
		if (!start(request, id, error))
			answer_failure(id, error);
		return;
	}
	text_add(&out, "{\"id\":%llu,\"ok\":true", (unsigned long long)id);
	if (!serve(request, &out, error))
		return answer_failure(id, error);
	text_add(&out, "}");
	port_send(&bench_port, &out);
}

void bench_turn(void)
{
	static char bytes[64];
	struct text out = { .bytes = bytes, .size = sizeof bytes };
	struct vm *vm = birth.vm;
	if (!vm || !birth.is_done)
		return;
	pthread_join(birth.thread, NULL);
	birth.vm = NULL;
	if (!birth.is_made)
		return answer_failure(birth.id, birth.error);
	vm->life = STARTING;
	enforcer_tell_start(vm);
	text_add(&out, "{\"id\":%llu,\"ok\":true}", (unsigned long long)birth.id);
	port_send(&bench_port, &out);
}

void bench_gone(void)
{
}

bool bench_is_over(void)
{
	return over;
}
