/* The bundle file. */
#ifndef BATON_BUNDLES_H
#define BATON_BUNDLES_H

#include "machine.h"

/* Reads it; VMs are known by then. */
bool bundles_load(const char *path, char *error);

#endif
