/*
 * The virtio socket device of a guest: its registers are here, its data path is in the host's kernel (vhost_vsock),
 * with ioeventfd for kicks and irqfd for interrupts. Virtio 1.2, 4.2 (over MMIO) and 5.10 (socket device).
 */
#ifndef BATON_VIRTIO_VSOCK_H
#define BATON_VIRTIO_VSOCK_H

#include "machine.h"

#define VSOCK_REGISTERS 0x09010000ULL
#define VSOCK_INTERRUPT 92

/* Opens the device of a VM whose RAM and interrupt controller exist. Its CID is 3 plus the VM's index. */
bool vsock_open(struct vm *vm, char *error);
void vsock_close(struct vm *vm);
/* An access of the processor to its registers; false when it is somewhere else. */
bool vsock_access(struct vm *vm, uint64_t address, bool is_write, uint32_t *value);

#endif
