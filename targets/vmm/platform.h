/* What baton-kvm is to the host: its side of the enforcer library (enforcer/baton-enforcer.h). */
#ifndef BATON_PLATFORM_H
#define BATON_PLATFORM_H

#include <poll.h>
#include <stdbool.h>

#include "machine.h"

/* Opens the channel to the host at `address`. */
bool platform_open(const char *address, char *error);
struct pollfd platform_poll(void);
/*
 * Goes on with what the host ordered, frees VMs whose end it acknowledged, tells it of those that have ended. Returns
 * whether a run waits for its device.
 */
bool platform_serve(short events);
/* Tells that a VM waits for its first instruction. */
void platform_tell_start(const struct vm *vm);

/* Books a refused access of a processor. `address` is the guest's. Any thread. */
void platform_book(const struct vm *vm, uint64_t address, unsigned bytes, bool write);
/* Books a refused access of a stream, as the kernel reported it. */
void platform_book_stream(uint32_t stream, uint64_t address, bool write, unsigned event);

#endif
