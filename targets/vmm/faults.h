/* Refused accesses, as fault records of the enforcer library. */
#ifndef BATON_FAULTS_H
#define BATON_FAULTS_H

#include "machine.h"

/* Sets where they are recorded. Called before the first VM runs. */
void faults_go_to(struct baton *baton);
/* Records a refused access of a processor at a guest address. May be called by any thread. */
void faults_book(const struct vm *vm, uint64_t address, unsigned bytes, bool write);
/* Records a refused access of a stream that the kernel reported. */
void faults_book_stream(uint32_t stream, uint64_t address, bool write, unsigned event);

#endif
