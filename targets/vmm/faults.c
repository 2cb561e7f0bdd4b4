/* Records of refused accesses (faults.h). */
#include "faults.h"

#include <pthread.h>
#include <stdio.h>

/* Different records that wait; more are lost, and the next one says so. A loop that pokes makes one. */
#define RECORDS_MAX 64

struct record {
	const struct vm *vm; /* NULL: made by a stream */
	const struct resource *resource;
	uint64_t address;
	uint32_t stream, count;
	unsigned bytes, event;
	bool write, lost;
};

static struct record records[RECORDS_MAX];
static unsigned record_count;
static bool were_lost;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/*
 * The registers at this address of the VM; NULL when it is no bundle's. Addresses never change, so no lock is needed.
 */
static const struct resource *registers_at(const struct vm *vm, uint64_t address)
{
	for (unsigned i = 0; i < machine.resource_count; i++) {
		const struct resource *each = &machine.resources[i];
		uint64_t view = each->views[vm->index];
		if (each->kind == MMIO && address >= view && address - view < each->bytes)
			return each;
	}
	return NULL;
}

static const struct resource *stream_of(uint32_t stream)
{
	for (unsigned i = 0; i < machine.resource_count; i++)
		if (machine.resources[i].kind == STREAM && machine.resources[i].physical == stream)
			return &machine.resources[i];
	return NULL;
}

static bool is_alike(const struct record *a, const struct record *b)
{
	return a->vm == b->vm && a->resource == b->resource && a->stream == b->stream && a->address == b->address &&
	       a->bytes == b->bytes && a->write == b->write && a->event == b->event;
}

static void book(struct record record)
{
	pthread_mutex_lock(&lock);
	unsigned i = 0;
	while (i < record_count && !is_alike(&records[i], &record))
		i++;
	if (i < record_count && records[i].count < UINT32_MAX) {
		records[i].count++;
	} else if (record_count == RECORDS_MAX) {
		were_lost = true;
	} else {
		record.lost = were_lost;
		were_lost = false;
		records[record_count++] = record;
	}
	pthread_mutex_unlock(&lock);
}

void faults_book(const struct vm *vm, uint64_t address, unsigned bytes, bool write)
{
	book((struct record){ .vm = vm, .resource = registers_at(vm, address), .address = address, .bytes = bytes,
			      .write = write, .count = 1 });
}

void faults_book_stream(uint32_t stream, uint64_t address, bool write, unsigned event)
{
	book((struct record){ .resource = stream_of(stream), .stream = stream, .address = address, .write = write,
			      .event = event, .count = 1 });
}

bool faults_waiting(void)
{
	pthread_mutex_lock(&lock);
	bool waiting = record_count > 0;
	pthread_mutex_unlock(&lock);
	return waiting;
}

static void print(struct text *out, const struct record *record)
{
	if (record->vm)
		text_add(out, "{\"by\":\"cpu\",\"vm\":\"%s\",\"event\":\"stage-2 abort\",\"bytes\":%u", record->vm->name,
			 record->bytes);
	else
		text_add(out, "{\"by\":\"dma\",\"stream\":%u,\"event\":\"%s 0x%02x\"", record->stream,
			 record->event == 0x10 ? "F_TRANSLATION" : "SMMU event", record->event);
	if (record->resource)
		text_add(out, ",\"bundle\":\"%s\",\"resource\":\"%s\"", record->resource->device->bundle->name,
			 record->resource->name);
	text_add(out, ",\"address\":%llu,\"write\":%s,\"count\":%u,\"lost\":%s}", (unsigned long long)record->address,
		 record->write ? "true" : "false", record->count, record->lost ? "true" : "false");
}

void faults_take(struct text *out)
{
	pthread_mutex_lock(&lock);
	text_add(out, "[");
	for (unsigned i = 0; i < record_count; i++) {
		text_add(out, i ? "," : "");
		print(out, &records[i]);
	}
	text_add(out, "]");
	record_count = 0;
	pthread_mutex_unlock(&lock);
}
