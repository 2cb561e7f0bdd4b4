/* The enforcer's end of the channel to the host (enforcer.h). */
#include "enforcer.h"

#include <stdio.h>
#include <string.h>

#include "faults.h"
#include "move.h"
#include "vm.h"

/* Calls of one run: a grant and an inspect for each resource of the largest bundle. */
#define CALLS_MAX 64
/* Runs that wait their turn: one a bundle, and some. */
#define RUNS_MAX 8
/* Longest answer of a run. */
#define ANSWER_BYTES 32768

struct call {
	char op[12];
	char target[RESOURCE_BYTES]; /* resource or device */
	char vm[NAME_BYTES];
};

struct run {
	double id;
	bool orphaned; /* its host is gone: it is carried out, not answered */
	char bundle[NAME_BYTES];
	unsigned call_count, at;
	struct call calls[CALLS_MAX];
	struct text answers;
	char bytes[ANSWER_BYTES];
};

struct port enforcer_port;
static struct run runs[RUNS_MAX];
static unsigned run_first, run_count;
static bool listening;
/* Who did not say hello means an earlier life of this process. */
static bool greeted;

static char line_bytes[ANSWER_BYTES + 16384];

static struct text line_begin(void)
{
	return (struct text){ .bytes = line_bytes, .size = sizeof line_bytes };
}

static void answer_hello(void)
{
	struct text line = line_begin();
	text_add(&line, "{\"id\":0,\"name\":\"kvm\",\"kind\":\"central\",\"evidence\":\"observed\",\"machineBoot\":");
	text_quote(&line, machine.boot);
	text_add(&line, ",\"capabilities\":{\"forceRevoke\":true,\"reset\":true,\"faultReport\":true},"
			"\"running\":[");
	const char *comma = "";
	for (unsigned i = 0; i < machine.vm_count; i++) {
		if (machine.vms[i].life != RUNNING)
			continue;
		text_add(&line, "%s\"%s\"", comma, machine.vms[i].name);
		comma = ",";
	}
	text_add(&line, "]}");
	port_send(&enforcer_port, &line);
}

void enforcer_begin(void)
{
	struct text line = line_begin();
	text_add(&line, "{\"event\":\"lost\",\"error\":\"baton-kvm was started anew\"}");
	port_send(&enforcer_port, &line);
}

static void tell(const char *event, const struct vm *vm)
{
	if (!listening)
		return;
	struct text line = line_begin();
	text_add(&line, "{\"event\":\"%s\",\"vm\":\"%s\"}", event, vm->name);
	port_send(&enforcer_port, &line);
}

static void listen_now(void)
{
	listening = true;
	for (unsigned i = 0; i < machine.vm_count; i++) {
		const struct vm *vm = &machine.vms[i];
		if (vm->life == STARTING)
			tell("vmStarting", vm);
		if (vm->life == EXITED)
			tell("vmExited", vm);
	}
}

void enforcer_tell_start(const struct vm *vm)
{
	tell("vmStarting", vm);
}

/* Copies a name; one that is too long becomes one that nothing has. */
static void copy(char *to, size_t size, const char *from)
{
	if (snprintf(to, size, "%s", from) >= (int)size)
		to[size - 2] = '~';
}

static void refuse_run(double id, const char *why)
{
	struct text line = line_begin();
	text_add(&line, "{\"id\":%.0f,\"answers\":[{\"ok\":false,\"error\":\"%s\"}]}", id, why);
	port_send(&enforcer_port, &line);
}

static void queue_run(const struct json *request)
{
	const struct json *id = json_get(request, "id"), *calls = json_get(request, "calls");
	double number = id && id->kind == JSON_NUMBER ? id->number : -1;
	if (run_count == RUNS_MAX)
		return refuse_run(number, "too many runs at a time");
	struct run *run = &runs[(run_first + run_count) % RUNS_MAX];
	run->id = number;
	run->orphaned = false;
	run->call_count = run->at = 0;
	run->answers = (struct text){ .bytes = run->bytes, .size = sizeof run->bytes };
	copy(run->bundle, sizeof run->bundle, json_text(request, "bundle"));
	for (struct json *each = calls ? calls->first : NULL; each; each = each->next) {
		if (run->call_count == CALLS_MAX)
			return refuse_run(number, "too many calls in a run");
		struct call *call = &run->calls[run->call_count++];
		const char *resource = json_text(each, "resource");
		copy(call->op, sizeof call->op, json_text(each, "op"));
		copy(call->target, sizeof call->target, resource[0] ? resource : json_text(each, "device"));
		copy(call->vm, sizeof call->vm, json_text(each, "vm"));
	}
	run_count++;
}

static void acknowledge(const char *name, enum life life)
{
	struct vm *vm = vm_named(name);
	char error[ERROR_BYTES];
	/* It may come twice. */
	if (!vm || vm->life != life)
		return;
	if (life == STARTING) {
		if (vm_run(vm, error))
			return;
		/* What cannot run has ended: the host is told. */
		fprintf(stderr, "%s\n", error);
		vm->ended = true;
		return;
	}
	vm->may_go = true;
}

/* Frees VMs whose end was acknowledged, unless a device still reaches them. */
static void free_ended(void)
{
	for (unsigned i = 0; i < machine.vm_count; i++) {
		struct vm *vm = &machine.vms[i];
		if (vm->life != EXITED || !vm->may_go || move_holds(vm))
			continue;
		for (unsigned j = 0; j < machine.device_count; j++)
			if (machine.devices[j].used_by == vm)
				machine.devices[j].used_by = NULL;
		vm_free(vm);
	}
}

void enforcer_take(char *line)
{
	const struct json *request = json_read(line);
	const char *what = json_text(request, "do");
	if (strcmp(what, "hello") == 0) {
		enforcer_gone();
		greeted = true;
		answer_hello();
	} else if (!greeted) {
		enforcer_begin();
	} else if (strcmp(what, "listen") == 0) {
		listen_now();
	} else if (strcmp(what, "run") == 0) {
		queue_run(request);
	} else if (strcmp(what, "acknowledgeStart") == 0) {
		acknowledge(json_text(request, "vm"), STARTING);
	} else if (strcmp(what, "acknowledgeExit") == 0) {
		acknowledge(json_text(request, "vm"), EXITED);
	} else {
		struct text answer = line_begin();
		text_add(&answer, "{\"ok\":false,\"error\":\"%s\"}", request ? "unknown request" : "not JSON");
		port_send(&enforcer_port, &answer);
	}
}

void enforcer_gone(void)
{
	listening = false;
	for (unsigned i = 0; i < run_count; i++)
		runs[(run_first + i) % RUNS_MAX].orphaned = true;
}

static enum progress outcome(bool ok)
{
	return ok ? DONE : FAILED;
}

static enum progress name_unknown(char *error, const char *what, const char *name)
{
	snprintf(error, ERROR_BYTES, "no %s is called %s", what, name);
	return FAILED;
}

static enum progress on_device(const struct call *call, struct device *device, struct text *extra, char *error)
{
	if (strcmp(call->op, "reset") == 0)
		return move_reset(device, error);
	text_add(extra, ",\"idle\":%s", move_is_drained(device) ? "true" : "false");
	return DONE;
}

static enum progress on_resource(const struct call *call, struct resource *resource, struct text *extra, char *error)
{
	if (strcmp(call->op, "fence") == 0)
		return outcome(move_fence(resource, error));
	if (strcmp(call->op, "grant") == 0)
		return outcome(move_grant(resource, call->vm, error));
	if (strcmp(call->op, "inspect") != 0)
		return name_unknown(error, "call", call->op);
	text_add(extra, ",\"reach\":\"%s\"", move_inspect(resource));
	return DONE;
}

/* Carries out one call. `extra` gets what its answer says besides ok. */
static enum progress carry_out(const struct run *run, const struct call *call, struct text *extra, char *error)
{
	struct bundle *bundle = bundle_named(run->bundle);
	if (!bundle)
		return name_unknown(error, "bundle", run->bundle);
	if (strcmp(call->op, "settle") == 0) {
		unsigned syncs;
		bool is_settled = move_settle(bundle, &syncs, error);
		text_add(extra, ",\"syncs\":%u", syncs);
		return outcome(is_settled);
	}
	if (strcmp(call->op, "reset") == 0 || strcmp(call->op, "drained") == 0) {
		struct device *device = device_named(bundle, call->target);
		return device ? on_device(call, device, extra, error) : name_unknown(error, "device", call->target);
	}
	struct resource *resource = resource_named(bundle, call->target);
	return resource ? on_resource(call, resource, extra, error) : name_unknown(error, "resource", call->target);
}

static void finish(struct run *run)
{
	if (!run->orphaned) {
		struct text line = line_begin();
		text_add(&line, "{\"id\":%.0f,\"answers\":[%.*s],\"faults\":", run->id, (int)run->answers.used,
			 run->answers.bytes);
		faults_take(&line);
		text_add(&line, "}");
		line.full = line.full || run->answers.full;
		port_send(&enforcer_port, &line);
	}
	run_first = (run_first + 1) % RUNS_MAX;
	run_count--;
}

/* Goes on with a run; false when it waits for its device. */
static bool go_on(struct run *run)
{
	for (; run->at < run->call_count; run->at++) {
		char error[ERROR_BYTES] = "", bytes[64];
		struct text extra = { .bytes = bytes, .size = sizeof bytes };
		enum progress progress = carry_out(run, &run->calls[run->at], &extra, error);
		if (progress == AGAIN)
			return false;
		text_add(&run->answers, run->at ? "," : "");
		if (progress == FAILED) {
			text_add(&run->answers, "{\"ok\":false,\"error\":");
			text_quote(&run->answers, error);
			text_add(&run->answers, "}");
			break;
		}
		text_add(&run->answers, "{\"ok\":true%.*s}", (int)extra.used, bytes);
	}
	finish(run);
	return true;
}

bool enforcer_turn(void)
{
	while (run_count > 0)
		if (!go_on(&runs[run_first]))
			break;
	free_ended();
	for (unsigned i = 0; i < machine.vm_count; i++) {
		struct vm *vm = &machine.vms[i];
		if (!vm_has_ended(vm))
			continue;
		if (vm->why[0])
			fprintf(stderr, "%s\n", vm->why);
		tell("vmExited", vm);
	}
	if (listening && faults_waiting()) {
		struct text line = line_begin();
		text_add(&line, "{\"event\":\"faultsPending\",\"faults\":");
		faults_take(&line);
		text_add(&line, "}");
		port_send(&enforcer_port, &line);
	}
	return run_count > 0;
}
