/*
 * Starts and ends VMs (control.h). One JSON object per line; an answer has the id of its request.
 *
 *   {"id":1,"do":"startVm","vm":"a"}: a guest of --guest drives the first device, or that of "bundle" and "device";
 *   with "ram" bytes of RAM, a multiple of 2 MiB, else 2 MiB; with "linux":1 it is Linux, with 96 MiB. Answered when it
 *   is made; others are meanwhile
 *   {"id":2,"do":"killVm","vm":"a"}   {"id":3,"do":"end"}
 *   ->  {"id":1,"ok":true} or {"id":1,"ok":false,"error":"..."}
 */
#define _GNU_SOURCE
#include "control.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "linux.h"
#include "platform.h"
#include "vm.h"

struct port control_port;
static bool over;

/*
 * A VM that is being made, on its own thread: loading and pinning the RAM of a guest takes seconds on a busy machine,
 * and a move of another VM's bundle must not wait for that. The host would take the delay for a failure and quarantine
 * the bundle.
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
	/* With the priority of the guest itself, below the main thread. */
	setpriority(PRIO_PROCESS, (id_t)gettid(), 10);
	birth.is_made = vm_create(birth.vm, birth.error);
	birth.is_done = true;
	ssize_t rung = write(machine.bell, &one, sizeof one);
	(void)rung; /* A full pipe already wakes the main thread. */
	return ignored;
}

static bool refuse(char *error, const char *what, const char *why)
{
	snprintf(error, ERROR_BYTES, "%s: %s", what, why);
	return false;
}

/* Begins to make a VM; control_turn sends the answer. */
static bool start(const struct json *request, uint64_t id, char *error)
{
	const char *name = baton_json_text(request, "vm");
	struct vm *vm = vm_named(name);
	struct bundle *bundle = bundle_named(baton_json_text(request, "bundle"));
	struct device *device = bundle ? device_named(bundle, baton_json_text(request, "device")) : NULL;
	uint64_t ram = RAM_BYTES, is_linux = 0;
	if (baton_json_get(request, "ram") &&
	    (!baton_json_whole(request, "ram", &ram) || !ram || ram % RAM_BYTES || ram > RAM_BYTES_MAX))
		return refuse(error, "ram", "a multiple of 2 MiB, at most 256 MiB");
	if (!vm)
		return refuse(error, name, "unknown VM");
	if (birth.vm)
		return refuse(error, name, "another VM is being made");
	if (vm->state != ABSENT)
		return refuse(error, name, "its last incarnation has not ended");
	baton_json_whole(request, "linux", &is_linux);
	if (is_linux && !(machine.kernel && machine.files))
		return refuse(error, name, "no Linux to start: --kernel and --files");
	if (!is_linux && !machine.guest)
		return refuse(error, name, "no guest to start: --guest");
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

static bool serve(const struct json *request, char *error)
{
	const char *what = baton_json_text(request, "do"), *name = baton_json_text(request, "vm");
	if (strcmp(what, "end") == 0)
		return over = true;
	if (strcmp(what, "killVm") != 0)
		return refuse(error, what, "unknown request");
	struct vm *vm = vm_named(name);
	if (!vm)
		return refuse(error, name, "unknown VM");
	vm_kill(vm);
	return true;
}

static void answer(uint64_t id, bool ok, const char *error)
{
	static char bytes[4096];
	struct text out = { .bytes = bytes, .size = sizeof bytes };
	baton_text_add(&out, "{\"id\":%llu,\"ok\":%s", (unsigned long long)id, ok ? "true" : "false");
	if (!ok) {
		baton_text_add(&out, ",\"error\":");
		baton_text_quote(&out, error);
	}
	baton_text_add(&out, "}");
	baton_port_send(&control_port, &out);
}

void control_take(void *context, char *line)
{
	(void)context;
	char error[ERROR_BYTES] = "";
	const struct json *request = baton_json_read(line);
	uint64_t id = 0;
	baton_json_whole(request, "id", &id);
	bool starts = strcmp(baton_json_text(request, "do"), "startVm") == 0;
	bool ok = starts ? start(request, id, error) : serve(request, error);
	/* A start is answered when the VM is made. */
	if (!starts || !ok)
		answer(id, ok, error);
}

void control_turn(void)
{
	struct vm *vm = birth.vm;
	if (!vm || !birth.is_done)
		return;
	pthread_join(birth.thread, NULL);
	birth.vm = NULL;
	if (birth.is_made) {
		vm->state = STARTING;
		platform_tell_start(vm);
	}
	answer(birth.id, birth.is_made, birth.error);
}

bool control_is_over(void)
{
	return over;
}
