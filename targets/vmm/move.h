/* The calls of the Enforcer contract over KVM and VFIO. Each may be repeated. */
#ifndef BATON_MOVE_H
#define BATON_MOVE_H

#include "machine.h"

/* Fills `error` whenever it returns false or BATON_FAILED. */
bool move_fence(struct resource *resource, char *error);
bool move_settle(struct bundle *bundle, unsigned *syncs, char *error);
enum baton_progress move_reset(struct device *device, char *error);
bool move_is_drained(struct device *device);
bool move_grant(struct resource *resource, const char *vm, char *error);
/* Name of the VM that reaches the resource, `blocked`, or `unknown` when what is read back does not agree. */
const char *move_inspect(const struct resource *resource);
/* Whether the VM still reaches any resource, or any device is in its domain. */
bool move_holds(const struct vm *vm);

#endif
