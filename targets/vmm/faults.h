/* Refused accesses, as fault records of the enforcer library. */
#ifndef BATON_FAULTS_H
#define BATON_FAULTS_H

#include "machine.h"

/* Where they are booked from now on; before the first VM runs. */
void faults_go_to(struct baton *baton);
/* Books a refused access of a processor. `address` is the guest's. Any thread. */
void faults_book(const struct vm *vm, uint64_t address, unsigned bytes, bool write);
/* Books a refused access of a stream, as the kernel reported it. */
void faults_book_stream(uint32_t stream, uint64_t address, bool write, unsigned event);

#endif
