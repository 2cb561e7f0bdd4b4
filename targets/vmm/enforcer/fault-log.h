/*
 * Records of refused accesses: added by any thread, fetched by the thread that talks to the host. Bounded; equal ones
 * are counted. Internal to the enforcer library (baton-enforcer.h).
 */
#ifndef BATON_FAULT_LOG_H
#define BATON_FAULT_LOG_H

#include <pthread.h>

#include "baton-enforcer.h"
#include "json-lines.h"

/* Most distinct waiting records; more are lost, which the next one reports. A guest in a loop makes one. */
#define FAULTS_MAX 64
#define EVENT_BYTES 32

struct fault {
	bool by_cpu, write, lost;
	unsigned bytes;
	uint32_t stream, count;
	uint64_t address;
	char vm[BATON_NAME_BYTES], bundle[BATON_NAME_BYTES], resource[BATON_RESOURCE_BYTES], event[EVENT_BYTES];
};

struct fault_log {
	pthread_mutex_t lock;
	struct fault faults[FAULTS_MAX];
	unsigned count;
	bool were_lost;
};

void baton_faults_open(struct fault_log *log);
void baton_faults_close(struct fault_log *log);
void baton_faults_add(struct fault_log *log, const struct baton_fault *fault);
/* Writes the records as a JSON array, and clears them. Returns their number. */
unsigned baton_faults_take(struct fault_log *log, struct text *out);
/* The fetched records were not delivered: the next record reports a loss. */
void baton_faults_lose(struct fault_log *log);

#endif
