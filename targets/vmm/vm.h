/* One VM under KVM: its RAM, processor, interrupt controller, and the thread that runs it. */
#ifndef BATON_VM_H
#define BATON_VM_H

#include "machine.h"

/*
 * Makes a VM whose state is ABSENT: everything but its first instruction. May be called by any thread, since it changes
 * only this VM; the main thread then sets STARTING.
 */
bool vm_create(struct vm *vm, char *error);
/* Runs the first instruction of a STARTING VM. */
bool vm_run(struct vm *vm, char *error);
/* Stops its processor. Its thread reports the end. */
void vm_kill(struct vm *vm);
/* Joins the thread of a VM that has ended; it is then EXITED, and nothing of it is freed. */
bool vm_has_ended(struct vm *vm);
/* Frees an EXITED VM; it is then ABSENT. */
void vm_free(struct vm *vm);

/* Maps or unmaps a range of `registers` at `address`, as slot `slot` of the VM. Unmapping syncs the TLBs. */
bool vm_map(const struct vm *vm, unsigned slot, uint64_t address, uint64_t bytes, void *registers, char *error);
bool vm_unmap(const struct vm *vm, unsigned slot, uint64_t address, char *error);
/* Asks KVM whether the VM has anything mapped at `address`. `registers` are those of a device. Changes nothing. */
bool vm_is_mapped(const struct vm *vm, uint64_t address, void *registers);
/* Whether vm_is_mapped works on this kernel; tried on a VM without processors. */
bool vm_can_ask(void *registers, char *error);
/* Connects or disconnects an eventfd and a virtual SPI. */
bool vm_connect(const struct vm *vm, const struct device *device, unsigned interrupt, bool on, char *error);

#endif
