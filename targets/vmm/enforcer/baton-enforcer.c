/* The enforcer's end of the channel to the host (baton-enforcer.h): hello, runs, starts and ends of VMs, faults. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "baton-enforcer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "fault-log.h"
#include "json-lines.h"

/* Calls of one run: those of the largest bundle (32 resources) as the conformance suite repeats them. */
#define CALLS_MAX 128
/* Most waiting runs: one per bundle, of this host and of the one before. */
#define RUNS_MAX 32
/* Longest answers of a run: CALLS_MAX of the longest that succeeds, and an error. */
#define ANSWER_BYTES 16384

struct call {
	char op[12];
	char target[BATON_RESOURCE_BYTES]; /* resource or device */
	char vm[BATON_NAME_BYTES];
};

struct run {
	double id;
	bool orphaned; /* its host is gone: carried out, not answered */
	char bundle[BATON_NAME_BYTES];
	unsigned call_count, at;
	struct call calls[CALLS_MAX];
	struct text answers;
	char bytes[ANSWER_BYTES];
};

enum vm_state { ABSENT, STARTING, RUNNING, EXITED };

struct vm {
	enum vm_state state;
	char name[BATON_NAME_BYTES];
};

struct baton {
	const struct baton_platform *platform;
	struct port port;
	char boot[64];
	/* The host has sent hello. A host that has not refers to an earlier start of this process. It wants events. */
	bool greeted, listening;
	struct run runs[RUNS_MAX];
	unsigned run_first, run_count;
	struct vm vms[BATON_VMS_MAX];
	char line[LINE_BYTES_MAX];
	struct fault_log faults;
};

static struct text line_begin(struct baton *baton)
{
	return (struct text){ .bytes = baton->line, .size = sizeof baton->line };
}

/* Copies a name; a name that is too long becomes one that matches nothing. */
static void copy(char *to, size_t size, const char *from)
{
	if (snprintf(to, size, "%s", from) >= (int)size)
		to[size - 2] = '~';
}

static const char *yes_no(bool value)
{
	return value ? "true" : "false";
}

static void answer_hello(struct baton *baton)
{
	const struct baton_platform *platform = baton->platform;
	struct text line = line_begin(baton);
	baton_text_add(&line, "{\"id\":0,\"name\":");
	baton_text_quote(&line, platform->name);
	baton_text_add(&line, ",\"kind\":\"central\",\"evidence\":\"%s\",\"machineBoot\":\"%s\"", platform->evidence,
		       baton->boot);
	baton_text_add(&line, ",\"capabilities\":{\"forceRevoke\":%s,\"reset\":%s,\"faultReport\":%s},\"running\":[",
		       yes_no(platform->can.force_revoke), yes_no(platform->can.reset),
		       yes_no(platform->can.fault_report));
	const char *comma = "";
	for (unsigned i = 0; i < BATON_VMS_MAX; i++) {
		if (baton->vms[i].state != RUNNING)
			continue;
		baton_text_add(&line, "%s", comma);
		baton_text_quote(&line, baton->vms[i].name);
		comma = ",";
	}
	baton_text_add(&line, "]}");
	baton_port_send(&baton->port, &line);
}

/*
 * On a channel that outlives this process, such as a virtual serial port, the host does not notice that its VMs are
 * gone.
 */
static void tell_lost(struct baton *baton)
{
	struct text line = line_begin(baton);
	baton_text_add(&line, "{\"event\":\"lost\",\"error\":\"%s was started anew\"}", baton->platform->name);
	baton_port_send(&baton->port, &line);
}

static void tell(struct baton *baton, const struct vm *vm)
{
	if (!baton->listening || (vm->state != STARTING && vm->state != EXITED))
		return;
	struct text line = line_begin(baton);
	baton_text_add(&line, "{\"event\":\"%s\",\"vm\":", vm->state == STARTING ? "vmStarting" : "vmExited");
	baton_text_quote(&line, vm->name);
	baton_text_add(&line, "}");
	baton_port_send(&baton->port, &line);
}

static struct vm *vm_named(struct baton *baton, const char *name)
{
	for (unsigned i = 0; i < BATON_VMS_MAX; i++)
		if (baton->vms[i].state != ABSENT && strcmp(baton->vms[i].name, name) == 0)
			return &baton->vms[i];
	return NULL;
}

static bool vm_add(struct baton *baton, const char *name, enum vm_state state)
{
	if (vm_named(baton, name) || !name[0] || strlen(name) >= BATON_NAME_BYTES)
		return false;
	for (unsigned i = 0; i < BATON_VMS_MAX; i++) {
		if (baton->vms[i].state != ABSENT)
			continue;
		baton->vms[i].state = state;
		strcpy(baton->vms[i].name, name);
		tell(baton, &baton->vms[i]);
		return true;
	}
	return false;
}

bool baton_vm_starting(struct baton *baton, const char *vm)
{
	return vm_add(baton, vm, STARTING);
}

bool baton_vm_running(struct baton *baton, const char *vm)
{
	return vm_add(baton, vm, RUNNING);
}

void baton_vm_exited(struct baton *baton, const char *name)
{
	struct vm *vm = vm_named(baton, name);
	if (!vm || vm->state == EXITED)
		return;
	vm->state = EXITED;
	tell(baton, vm);
}

/* May come twice, and late: it refers to the reported incarnation. */
static void acknowledge(struct baton *baton, const char *name, enum vm_state told)
{
	const struct baton_platform *platform = baton->platform;
	struct vm *vm = vm_named(baton, name);
	if (!vm || vm->state != told)
		return;
	vm->state = told == STARTING ? RUNNING : ABSENT;
	(told == STARTING ? platform->may_run : platform->may_free)(platform->context, name);
}

/* Returns the reason of a refusal, or NULL. */
static const char *queue_run(struct baton *baton, const struct json *request, double id)
{
	const struct json *calls = baton_json_get(request, "calls");
	if (baton->run_count == RUNS_MAX)
		return "too many runs at a time";
	struct run *run = &baton->runs[(baton->run_first + baton->run_count) % RUNS_MAX];
	run->id = id;
	run->orphaned = false;
	run->call_count = run->at = 0;
	run->answers = (struct text){ .bytes = run->bytes, .size = sizeof run->bytes };
	copy(run->bundle, sizeof run->bundle, baton_json_text(request, "bundle"));
	for (struct json *each = calls ? calls->first : NULL; each; each = each->next) {
		if (run->call_count == CALLS_MAX)
			return "too many calls in a run";
		struct call *call = &run->calls[run->call_count++];
		const char *resource = baton_json_text(each, "resource");
		copy(call->op, sizeof call->op, baton_json_text(each, "op"));
		copy(call->target, sizeof call->target, resource[0] ? resource : baton_json_text(each, "device"));
		copy(call->vm, sizeof call->vm, baton_json_text(each, "vm"));
	}
	baton->run_count++;
	return NULL;
}

static void take_run(struct baton *baton, const struct json *request)
{
	const struct json *id = baton_json_get(request, "id");
	double number = id && id->kind == JSON_NUMBER ? id->number : -1;
	const char *why = queue_run(baton, request, number);
	struct text line = line_begin(baton);
	if (!why)
		return;
	baton_text_add(&line, "{\"id\":%.0f,\"answers\":[{\"ok\":false,\"error\":\"%s\"}]}", number, why);
	baton_port_send(&baton->port, &line);
}

static void lose_host(void *context)
{
	struct baton *baton = context;
	baton->listening = false;
	for (unsigned i = 0; i < baton->run_count; i++)
		baton->runs[(baton->run_first + i) % RUNS_MAX].orphaned = true;
}

static void take_line(void *context, char *text)
{
	struct baton *baton = context;
	const struct json *request = baton_json_read(text);
	const char *what = baton_json_text(request, "do");
	if (strcmp(what, "hello") == 0) {
		lose_host(baton);
		baton->greeted = true;
		answer_hello(baton);
	} else if (!baton->greeted) {
		tell_lost(baton);
	} else if (strcmp(what, "listen") == 0) {
		baton->listening = true;
		for (unsigned i = 0; i < BATON_VMS_MAX; i++)
			tell(baton, &baton->vms[i]);
	} else if (strcmp(what, "run") == 0) {
		take_run(baton, request);
	} else if (strcmp(what, "acknowledgeStart") == 0) {
		acknowledge(baton, baton_json_text(request, "vm"), STARTING);
	} else if (strcmp(what, "acknowledgeExit") == 0) {
		acknowledge(baton, baton_json_text(request, "vm"), EXITED);
	} else {
		struct text line = line_begin(baton);
		baton_text_add(&line, "{\"ok\":false,\"error\":\"%s\"}", request ? "unknown request" : "not JSON");
		baton_port_send(&baton->port, &line);
	}
}

static enum baton_progress outcome(bool ok)
{
	return ok ? BATON_DONE : BATON_FAILED;
}

static enum baton_progress refuse(char *error, const char *what, const char *name)
{
	snprintf(error, BATON_ERROR_BYTES, "no %s is called %s", what, name);
	return BATON_FAILED;
}

static enum baton_progress on_device(struct baton *baton, const struct call *call, void *device, struct text *extra,
				     char *error)
{
	const struct baton_platform *platform = baton->platform;
	if (strcmp(call->op, "reset") == 0)
		return platform->reset(device, error);
	baton_text_add(extra, ",\"idle\":%s", yes_no(platform->drained(device)));
	return BATON_DONE;
}

static enum baton_progress on_resource(struct baton *baton, const struct call *call, void *resource,
				       struct text *extra, char *error)
{
	const struct baton_platform *platform = baton->platform;
	if (strcmp(call->op, "fence") == 0)
		return outcome(platform->fence(resource, error));
	if (strcmp(call->op, "inspect") == 0) {
		baton_text_add(extra, ",\"reach\":\"%s\"", platform->inspect(resource));
		return BATON_DONE;
	}
	if (strcmp(call->op, "grant") != 0)
		return refuse(error, "call", call->op);
	const struct vm *vm = vm_named(baton, call->vm);
	if (vm && vm->state != EXITED)
		return outcome(platform->grant(resource, call->vm, error));
	snprintf(error, BATON_ERROR_BYTES, "%s: no VM runs that is called %s", call->target, call->vm);
	return BATON_FAILED;
}

/* Carries out one call. `extra` gets the fields of the answer besides ok. */
static enum baton_progress carry_out(struct baton *baton, const struct run *run, const struct call *call,
				     struct text *extra, char *error)
{
	const struct baton_platform *platform = baton->platform;
	void *bundle = platform->find_bundle(platform->context, run->bundle);
	if (!bundle)
		return refuse(error, "bundle", run->bundle);
	if (strcmp(call->op, "settle") == 0) {
		unsigned syncs = 0;
		bool is_settled = platform->settle(bundle, &syncs, error);
		baton_text_add(extra, ",\"syncs\":%u", syncs);
		return outcome(is_settled);
	}
	if (strcmp(call->op, "reset") == 0 || strcmp(call->op, "drained") == 0) {
		void *device = platform->find_device(bundle, call->target);
		return device ? on_device(baton, call, device, extra, error) : refuse(error, "device", call->target);
	}
	void *resource = platform->find_resource(bundle, call->target);
	return resource ? on_resource(baton, call, resource, extra, error) : refuse(error, "resource", call->target);
}

void baton_fault(struct baton *baton, const struct baton_fault *fault)
{
	baton_faults_add(&baton->faults, fault);
}

static void finish(struct baton *baton, struct run *run)
{
	if (!run->orphaned) {
		struct text line = line_begin(baton);
		baton_text_add(&line, "{\"id\":%.0f,\"answers\":[%.*s]", run->id, (int)run->answers.used,
			       run->answers.bytes);
		baton_text_add(&line, ",\"faults\":");
		baton_faults_take(&baton->faults, &line);
		baton_text_add(&line, "}");
		line.full = line.full || run->answers.full;
		if (!baton_port_send(&baton->port, &line))
			baton_faults_lose(&baton->faults);
	}
	baton->run_first = (baton->run_first + 1) % RUNS_MAX;
	baton->run_count--;
}

/* Continues a run; false when it waits for its device. */
static bool go_on(struct baton *baton, struct run *run)
{
	for (; run->at < run->call_count; run->at++) {
		char error[BATON_ERROR_BYTES] = "", bytes[64];
		struct text extra = { .bytes = bytes, .size = sizeof bytes };
		enum baton_progress progress = carry_out(baton, run, &run->calls[run->at], &extra, error);
		if (progress == BATON_AGAIN)
			return false;
		baton_text_add(&run->answers, run->at ? "," : "");
		if (progress == BATON_FAILED) {
			baton_text_add(&run->answers, "{\"ok\":false,\"error\":");
			baton_text_quote(&run->answers, error);
			baton_text_add(&run->answers, "}");
			break;
		}
		baton_text_add(&run->answers, "{\"ok\":true%.*s}", (int)extra.used, bytes);
	}
	finish(baton, run);
	return true;
}

bool baton_serve(struct baton *baton, short events)
{
	const struct port_user user = { .take = take_line, .gone = lose_host, .context = baton };
	baton_port_serve(&baton->port, events, &user);
	while (baton->run_count > 0)
		if (!go_on(baton, &baton->runs[baton->run_first]))
			break;
	struct text line = line_begin(baton);
	baton_text_add(&line, "{\"event\":\"faultsPending\",\"faults\":");
	if (baton->listening && baton_faults_take(&baton->faults, &line) > 0) {
		baton_text_add(&line, "}");
		if (!baton_port_send(&baton->port, &line))
			baton_faults_lose(&baton->faults);
	}
	return baton->run_count > 0;
}

struct pollfd baton_poll(const struct baton *baton)
{
	return baton_port_poll(&baton->port);
}

struct baton *baton_open(const struct baton_platform *platform, const char *address, char *error)
{
	unsigned char random[16];
	struct baton *baton = calloc(1, sizeof *baton);
	if (!baton || getrandom(random, sizeof random, 0) != sizeof random) {
		snprintf(error, BATON_ERROR_BYTES, "%s: no memory, or no random numbers", platform->name);
		free(baton);
		return NULL;
	}
	baton->platform = platform;
	baton_faults_open(&baton->faults);
	int length = snprintf(baton->boot, sizeof baton->boot - 2 * sizeof random, "%.16s-", platform->name);
	for (unsigned i = 0; i < sizeof random; i++)
		snprintf(baton->boot + length + 2 * i, 3, "%02x", random[i]);
	if (!baton_port_open(&baton->port, address, error, BATON_ERROR_BYTES)) {
		free(baton);
		return NULL;
	}
	tell_lost(baton);
	return baton;
}

void baton_close(struct baton *baton)
{
	baton_port_close(&baton->port);
	baton_faults_close(&baton->faults);
	free(baton);
}
