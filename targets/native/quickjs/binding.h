/*
 * Shared by the two halves of the QuickJS module: core.h (binding.c), and functions that Node has and QuickJS lacks
 * (system.c).
 */
#ifndef BATON_QUICKJS_BINDING_H
#define BATON_QUICKJS_BINDING_H

#include <quickjs.h>

/* The module `baton` of ../core.ts and system.ts, by the name under which scripts import it. */
JSModuleDef *baton_init_module(JSContext *ctx, const char *name);

/* Adds the exports of system.c, and sets them when the module is evaluated. */
void baton_add_system_exports(JSContext *ctx, JSModuleDef *module);
int baton_set_system_exports(JSContext *ctx, JSModuleDef *module);

/*
 * Points `bytes` at `count` bytes of `buffer` from `offset` on, valid during the present call. Throws and returns -1
 * when they exceed the buffer.
 */
int baton_bytes_of(JSContext *ctx, uint8_t **bytes, JSValueConst buffer, JSValueConst offset, JSValueConst count);

#endif
