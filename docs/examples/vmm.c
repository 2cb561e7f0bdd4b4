/*
 * A VMM on the enforcer socket (docs/PLATFORMS.md), to start from: vmm ADDRESS VM... with the VMs that run already.
 * Build, with E=targets/vmm/enforcer: cc -pthread -I $E -o vmm docs/examples/vmm.c $E/baton-enforcer.c $E/fault-log.c
 * $E/json-lines.c
 *
 * The machine is only in memory: replace what the functions in PLATFORM do by calls of your hypervisor. Lines on
 * standard input stand in for the rest of your VMM: "start vault", "exit vault", "fault vault touch.mmio0 0x0a900010".
 */
#include <stdio.h>
#include <string.h>

#include "baton-enforcer.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))
#define REFUSE(error, ...) (snprintf(error, BATON_ERROR_BYTES, __VA_ARGS__), false)

struct device {
	const char *name;
	char last[BATON_NAME_BYTES]; /* who had it since its reset; "": nobody */
	bool is_resetting;
};
struct resource {
	const char *name;
	struct device *device;
	char holder[BATON_NAME_BYTES]; /* "": nobody */
	bool is_fenced;		       /* and not settled */
};

/* The bundle `panel` of docs/examples/bundles.json. */
static struct device touch = { .name = "touch" }, display = { .name = "display" };
static struct resource panel[] = {
	{ "touch.mmio0", &touch, "", false },	      { "touch.interrupt0", &touch, "", false },
	{ "touch.stream0", &touch, "", false },	      { "display.mmio0", &display, "", false },
	{ "display.interrupt0", &display, "", false }, { "display.stream0", &display, "", false },
	{ "display.stream1", &display, "", false },
};

static void *find_bundle(void *context, const char *name)
{
	return strcmp(name, "panel") == 0 ? context : NULL;
}
static void *find_device(void *bundle, const char *name)
{
	(void)bundle;
	return strcmp(name, touch.name) == 0 ? &touch : strcmp(name, display.name) == 0 ? &display : NULL;
}
static void *find_resource(void *bundle, const char *name)
{
	for (struct resource *each = bundle; each < panel + COUNT(panel); each++)
		if (strcmp(each->name, name) == 0)
			return each;
	return NULL;
}
static bool fence(void *resource, char *error)
{
	(void)error;
	return ((struct resource *)resource)->is_fenced = true;
}
static bool settle(void *bundle, unsigned *syncs, char *error)
{
	(void)error;
	for (struct resource *each = bundle; each < panel + COUNT(panel); each++) {
		if (each->is_fenced)
			each->holder[0] = 0;
		each->is_fenced = false;
	}
	*syncs = 1;
	return true;
}
static enum baton_progress reset(void *what, char *error)
{
	struct device *device = what;
	(void)error;
	device->last[0] = 0;
	device->is_resetting = !device->is_resetting; /* It takes until the next look. */
	return device->is_resetting ? BATON_AGAIN : BATON_DONE;
}
static bool drained(void *device)
{
	return !((struct device *)device)->is_resetting;
}
static bool grant(void *what, const char *vm, char *error)
{
	struct resource *resource = what;
	char *last = resource->device->last;
	if (resource->is_fenced || (resource->holder[0] && strcmp(resource->holder, vm) != 0))
		return REFUSE(error, "%s is not fenced and settled", resource->name);
	if (last[0] && strcmp(last, vm) != 0)
		return REFUSE(error, "%s: %s was not reset since %s had it", resource->name, resource->device->name, last);
	strcpy(resource->holder, vm);
	strcpy(last, vm);
	return true;
}
static const char *inspect(void *what)
{
	struct resource *resource = what;
	return !resource->holder[0] ? "blocked" : resource->is_fenced ? "unknown" : resource->holder;
}
static void say(void *context, const char *vm)
{
	(void)context; /* Here the VM may run its first instruction, or what is left of it may be freed. */
	fprintf(stderr, "%s: acknowledged\n", vm);
}

static const struct baton_platform PLATFORM = {
	.name = "vmm", .evidence = "asserted", /* "observed" once `inspect` asks the machine itself */
	.can = { .force_revoke = true, .reset = true, .fault_report = true }, .context = panel,
	.find_bundle = find_bundle, .find_device = find_device, .find_resource = find_resource,
	.fence = fence, .settle = settle, .reset = reset, .drained = drained, .grant = grant, .inspect = inspect,
	.may_run = say, .may_free = say,
};

static void on_line(struct baton *baton, const char *line)
{
	char word[8] = "", vm[BATON_NAME_BYTES] = "", resource[BATON_RESOURCE_BYTES] = "";
	unsigned long long address = 0;
	sscanf(line, "%7s %32s %47s %llx", word, vm, resource, &address);
	struct baton_fault fault = { .vm = vm, .bundle = "panel", .resource = resource, .address = address, .write = true,
				     .event = "stage-2 abort" };
	if (strcmp(word, "fault") == 0)
		baton_fault(baton, &fault);
	else if (strcmp(word, "exit") == 0)
		baton_vm_exited(baton, vm);
	else if (strcmp(word, "start") != 0 || !baton_vm_starting(baton, vm))
		fprintf(stderr, "not taken: %s", line);
}

int main(int count, char **words)
{
	char error[BATON_ERROR_BYTES] = "vmm ADDRESS VM...", line[128];
	struct baton *baton = count > 2 ? baton_open(&PLATFORM, words[1], error) : NULL;
	if (!baton)
		return fprintf(stderr, "%s\n", error), 64;
	for (int i = 2; i < count; i++)
		baton_vm_running(baton, words[i]);
	setvbuf(stdin, NULL, _IONBF, 0); /* poll sees all of it */
	for (bool waits = false;;) {
		struct pollfd wanted[] = { baton_poll(baton), { .fd = 0, .events = POLLIN } };
		poll(wanted, COUNT(wanted), waits ? 1 : BATON_LOOK_MS);
		waits = baton_serve(baton, wanted[0].revents);
		if (wanted[1].revents && !fgets(line, sizeof line, stdin))
			break;
		if (wanted[1].revents)
			on_line(baton, line);
	}
	baton_close(baton);
	return 0;
}
