/*
 * The program around the bytecode of an agent: an engine with limits, without a compiler, that loads no code from
 * files.
 *
 * The file has several names; the script chooses the program by its first argument.
 */

#define _DEFAULT_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <quickjs-libc.h>
#include <quickjs.h>

#include "../native/quickjs/binding.h"
#include "heap.h"

/*
 * Largest heap of the engine, in bytes: four times what an agent with 16 bundles uses. Beyond it an allocation throws
 * and the agent ends, so that a leak takes no memory from the rest of a small guest.
 */
#define HEAP_BYTES_MAX (16u * 1024 * 1024)
/* Growth of the heap, in bytes, after loading the script, at which cycles are collected for the first time. */
#define GARBAGE_BYTES (512u * 1024)
/*
 * Stack of the script, in bytes. The deepest use is a configuration nested to its limit. Linux gives a process 8 MiB.
 */
#define STACK_BYTES_MAX (1024u * 1024)

extern const uint8_t agent_bytecode[];
extern const uint32_t agent_bytecode_size;

/*
 * As JS_NewContext, without the parts that our scripts do not use: the compiler and eval, proxies, weak references,
 * Unicode normalization. Parts not named here are not linked. Also used for workers of quickjs-libc.c, which are never
 * started.
 */
JSContext *baton_new_context(JSRuntime *runtime) {
  JSContext *ctx = JS_NewContextRaw(runtime);
  if (ctx == NULL) return NULL;
  JS_AddIntrinsicBaseObjects(ctx);
  JS_AddIntrinsicDate(ctx);
  JS_AddIntrinsicRegExpCompiler(ctx);
  JS_AddIntrinsicRegExp(ctx);
  JS_AddIntrinsicJSON(ctx);
  JS_AddIntrinsicMapSet(ctx);
  JS_AddIntrinsicTypedArrays(ctx);
  JS_AddIntrinsicPromise(ctx);
  return ctx;
}

/* The bytecode was read and copied, so its pages may be dropped. They are backed by the file and can be read again. */
static void forget_bytecode(void) {
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = (uintptr_t)agent_bytecode;
  uintptr_t first = (from + page - 1) / page * page, last = (from + agent_bytecode_size) / page * page;
  if (first < last) madvise((void *)first, last - first, MADV_DONTNEED);
}

int main(int argc, char **argv) {
  JSMemoryUsage loaded;
  JSRuntime *runtime = JS_NewRuntime2(&baton_heap, NULL);
  if (runtime == NULL) goto no_memory;
  JS_SetMemoryLimit(runtime, HEAP_BYTES_MAX);
  JS_SetMaxStackSize(runtime, STACK_BYTES_MAX);
  js_std_init_handlers(runtime);
  JSContext *ctx = baton_new_context(runtime);
  if (ctx == NULL) goto no_memory;
  js_init_module_std(ctx, "std");
  js_init_module_os(ctx, "os");
  baton_init_module(ctx, "baton");
  js_std_add_helpers(ctx, argc, argv);
  // Loading makes little garbage, and each collection takes longer than the one before.
  JS_SetGCThreshold(runtime, HEAP_BYTES_MAX);
  // Ends the process with status 1 when the script throws.
  js_std_eval_binary(ctx, agent_bytecode, agent_bytecode_size, 0);
  forget_bytecode();
  JS_ComputeMemoryUsage(runtime, &loaded);
  JS_SetGCThreshold(runtime, (size_t)loaded.malloc_size + GARBAGE_BYTES);
  js_std_loop(ctx);
  return 0;
no_memory:
  fputs("no memory for the engine\n", stderr);
  return 1;
}
