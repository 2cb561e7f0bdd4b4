/*
 * Records of refused accesses: gathered by any thread, fetched by the one that speaks to the host. Bounded; alike ones
 * are counted. Inside of the enforcer library (baton-enforcer.h).
 */
#ifndef BATON_FAULT_LOG_H
#define BATON_FAULT_LOG_H

#include <pthread.h>

#include "baton-enforcer.h"
#include "json-lines.h"

/* Different records that wait; more are lost, and the next one says so. A guest in a loop makes one. */
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
/* Adds the records as a JSON array, and forgets them. Returns how many there were. */
unsigned baton_faults_take(struct fault_log *log, struct text *out);
/* What was taken reached nobody: the next record says that others were lost. */
void baton_faults_lose(struct fault_log *log);

#endif
