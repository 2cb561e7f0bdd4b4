/*
 * A guest's way to its host: the registers of a virtio socket device here, its data path in the host's kernel
 * (vhost_vsock): kicks go in by ioeventfd, interrupts out by irqfd. Virtio 1.2, 4.2 (over MMIO) and 5.10 (socket
 * device).
 */
#ifndef BATON_VIRTIO_VSOCK_H
#define BATON_VIRTIO_VSOCK_H

#include "machine.h"

#define VSOCK_REGISTERS 0x09010000ULL
#define VSOCK_INTERRUPT 92

/* The device of a VM whose RAM and interrupt controller are there. Its CID is 3 and the VM's index. */
bool vsock_open(struct vm *vm, char *error);
void vsock_close(struct vm *vm);
/* An access of the processor to its registers; false when it is somewhere else. */
bool vsock_access(struct vm *vm, uint64_t address, bool is_write, uint32_t *value);

#endif
