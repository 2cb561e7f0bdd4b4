/* The heap of the engine. */
#ifndef BATON_HEAP_H
#define BATON_HEAP_H

#include <quickjs.h>

/* For JS_NewRuntime2. Single-threaded; observes the limit of JS_SetMemoryLimit. */
extern const JSMallocFunctions baton_heap;

/* Bytes allocated by the script now, including garbage. */
size_t baton_heap_bytes(void);

#endif
