/* Refused DMA, as the kernel's SMMU driver reports it in its log. */
#ifndef BATON_SMMU_H
#define BATON_SMMU_H

#include "machine.h"

/* Opens the kernel's log at its end. Returns a descriptor to poll, or -1: then refused DMA is not reported. */
int smmu_open(char *error);
/* Reads new lines, and records refused DMA. */
void smmu_read(void);

#endif
