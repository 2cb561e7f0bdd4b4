/* The heap of the engine. */
#ifndef BATON_HEAP_H
#define BATON_HEAP_H

#include <quickjs.h>

/* For JS_NewRuntime2. Of one thread; the limit of JS_SetMemoryLimit holds. */
extern const JSMallocFunctions baton_heap;

#endif
