/* QEMU's teaching device `edu`. */
#ifndef BATON_EDU_H
#define BATON_EDU_H

#include "machine.h"

extern const struct model EDU;
/* Bytes of its buffer that DMA reaches; what is beyond, a reset does not clear. */
extern uint32_t edu_buffer_bytes;

#endif
