/*
 * Records of refused accesses: gathered by the VMs' threads, fetched by the main thread. Bounded; alike ones are
 * counted.
 */
#ifndef BATON_FAULTS_H
#define BATON_FAULTS_H

#include "json.h"
#include "machine.h"

/* Books a refused access of a processor. `address` is the guest's. */
void faults_book(const struct vm *vm, uint64_t address, unsigned bytes, bool write);
/* Books a refused access of a stream, as the kernel reported it. */
void faults_book_stream(uint32_t stream, uint64_t address, bool write, unsigned event);
bool faults_waiting(void);
/* Adds the records as a JSON array, and forgets them. */
void faults_take(struct text *out);

#endif
