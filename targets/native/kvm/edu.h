/* QEMU's teaching device `edu`. */
#ifndef BATON_EDU_H
#define BATON_EDU_H

#include "machine.h"

extern const struct model EDU;

#endif
