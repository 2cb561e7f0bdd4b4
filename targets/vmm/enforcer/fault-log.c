/* Records of refused accesses (fault-log.h). */
#include "fault-log.h"

#include <stdio.h>
#include <string.h>

void baton_faults_open(struct fault_log *log)
{
	pthread_mutex_init(&log->lock, NULL);
}

void baton_faults_close(struct fault_log *log)
{
	pthread_mutex_destroy(&log->lock);
}

static void copy(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from ? from : "");
}

static bool is_alike(const struct fault *a, const struct fault *b)
{
	return a->address == b->address && a->stream == b->stream && a->bytes == b->bytes && a->by_cpu == b->by_cpu &&
	       a->write == b->write && strcmp(a->vm, b->vm) == 0 && strcmp(a->bundle, b->bundle) == 0 &&
	       strcmp(a->resource, b->resource) == 0 && strcmp(a->event, b->event) == 0;
}

void baton_faults_add(struct fault_log *log, const struct baton_fault *from)
{
	struct fault fault = { .by_cpu = from->vm != NULL, .stream = from->stream, .address = from->address,
			       .bytes = from->bytes, .write = from->write, .count = 1 };
	copy(fault.vm, sizeof fault.vm, from->vm);
	copy(fault.bundle, sizeof fault.bundle, from->bundle);
	copy(fault.resource, sizeof fault.resource, from->resource);
	copy(fault.event, sizeof fault.event, from->event);
	pthread_mutex_lock(&log->lock);
	unsigned i = 0;
	while (i < log->count && !is_alike(&log->faults[i], &fault))
		i++;
	if (i < log->count) {
		log->faults[i].count += log->faults[i].count < UINT32_MAX;
	} else if (log->count == FAULTS_MAX) {
		log->were_lost = true;
	} else {
		fault.lost = log->were_lost;
		log->were_lost = false;
		log->faults[log->count++] = fault;
	}
	pthread_mutex_unlock(&log->lock);
}

static void print_name(struct text *out, const char *member, const char *name)
{
	if (!name[0])
		return;
	baton_text_add(out, ",\"%s\":", member);
	baton_text_quote(out, name);
}

static void print(struct text *out, const struct fault *fault)
{
	baton_text_add(out, "{\"by\":\"%s\"", fault->by_cpu ? "cpu" : "dma");
	if (!fault->by_cpu)
		baton_text_add(out, ",\"stream\":%u", fault->stream);
	print_name(out, "vm", fault->vm);
	print_name(out, "bundle", fault->bundle);
	print_name(out, "resource", fault->resource);
	print_name(out, "event", fault->event);
	if (fault->bytes)
		baton_text_add(out, ",\"bytes\":%u", fault->bytes);
	baton_text_add(out, ",\"address\":%llu,\"write\":%s,\"count\":%u,\"lost\":%s}",
		       (unsigned long long)fault->address, fault->write ? "true" : "false", fault->count,
		       fault->lost ? "true" : "false");
}

unsigned baton_faults_take(struct fault_log *log, struct text *out)
{
	pthread_mutex_lock(&log->lock);
	unsigned count = log->count;
	baton_text_add(out, "[");
	for (unsigned i = 0; i < count; i++) {
		baton_text_add(out, i ? "," : "");
		print(out, &log->faults[i]);
	}
	baton_text_add(out, "]");
	log->count = 0;
	pthread_mutex_unlock(&log->lock);
	return count;
}

void baton_faults_lose(struct fault_log *log)
{
	pthread_mutex_lock(&log->lock);
	log->were_lost = true;
	pthread_mutex_unlock(&log->lock);
}
