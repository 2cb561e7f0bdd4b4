/* QEMU's teaching device `edu`. */
#ifndef BATON_EDU_H
#define BATON_EDU_H

#include "machine.h"

extern const struct model EDU;
/* Bytes of its buffer that DMA reaches. A reset does not clear bytes beyond them. */
extern uint32_t edu_buffer_bytes;

#endif
