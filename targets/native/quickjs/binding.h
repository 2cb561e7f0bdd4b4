/*
 * What the two halves of the QuickJS module share: core.h as it is (binding.c), and what Node has and QuickJS has not
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
 * Points `bytes` at `count` bytes of the buffer `buffer` from `offset` on, for the call that is under way. Throws and
 * returns -1 when it has not that many.
 */
int baton_bytes_of(JSContext *ctx, uint8_t **bytes, JSValueConst buffer, JSValueConst offset, JSValueConst count);

#endif
