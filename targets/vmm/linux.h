/* A VM whose guest is Linux: kernel, initial file system and device tree in its RAM. */
#ifndef BATON_LINUX_H
#define BATON_LINUX_H

#include "machine.h"

/* RAM of such a VM: Debian's kernel, a file system in memory, and room to work. In whole blocks of 2 MiB. */
#define LINUX_RAM_BYTES (96ULL << 20)
/* Its console: a 16550 without an interrupt. */
#define LINUX_CONSOLE 0x09000000ULL

/*
 * Loads the guest of `vm` from the machine's kernel and file system. Returns where its device tree is, for x0; 0 on
 * failure.
 */
uint64_t linux_load(struct vm *vm, char *error);
/* An access of the processor to the console; false when it is somewhere else. */
bool linux_console(struct vm *vm, uint64_t address, bool is_write, uint32_t *value);

#endif
