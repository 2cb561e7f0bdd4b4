/* The heap of the engine. */
#ifndef BATON_HEAP_H
#define BATON_HEAP_H

#include <quickjs.h>

/* For JS_NewRuntime2. Of one thread; the limit of JS_SetMemoryLimit holds. */
extern const JSMallocFunctions baton_heap;

/* Bytes that the script holds now, with what nobody refers to any more. */
size_t baton_heap_bytes(void);

#endif
