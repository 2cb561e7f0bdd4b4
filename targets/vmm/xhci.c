/*
 * QEMU's `qemu-xhci` (xhci.h). eXtensible Host Controller Interface 1.2: 5.3.1 (CAPLENGTH), 5.4.1 (USBCMD), 5.4.2
 * (USBSTS), 4.2 (host controller initialization): HCRST ends all DMA and forgets every pointer, ring, slot and event.
 */
#include "xhci.h"

#include <stdio.h>

#include "vfio.h"

#define USBCMD 0x00
#define USBCMD_RUN 1u
#define USBCMD_RESET 2u
#define USBSTS 0x04
#define USBSTS_HALTED 1u
#define USBSTS_NOT_READY (1u << 11)
/* 4.22.1: halted within 16 ms, and a reset takes no longer; an emulated controller may have to wait for a processor. */
#define RESET_MS_MAX 1000

enum step { RESTING, HALTING, RESETTING };

static volatile uint32_t *operational(const struct device *device, unsigned at)
{
	uint8_t length = *(volatile uint8_t *)device->registers;
	return (volatile uint32_t *)((char *)device->registers + length + at);
}

static bool is_halted(const struct device *device)
{
	return (*operational(device, USBSTS) & USBSTS_HALTED) != 0;
}

static bool idle(struct device *device)
{
	return device->reset_step == RESTING && is_halted(device) && !(*operational(device, USBCMD) & USBCMD_RUN);
}

static enum baton_progress reset(struct device *device, char *error)
{
	if (device->reset_step == RESTING) {
		*operational(device, USBCMD) &= ~USBCMD_RUN;
		device->reset_step = HALTING;
		device->reset_until = now_ms() + RESET_MS_MAX;
	}
	if (device->reset_step == HALTING && is_halted(device)) {
		*operational(device, USBCMD) = USBCMD_RESET;
		device->reset_step = RESETTING;
	}
	bool is_busy = (*operational(device, USBCMD) & USBCMD_RESET) || (*operational(device, USBSTS) & USBSTS_NOT_READY);
	if (device->reset_step == RESETTING && !is_busy) {
		device->reset_step = RESTING;
		return BATON_DONE;
	}
	/* Checked after the status: a late caller finds the reset done. */
	if (now_ms() <= device->reset_until)
		return BATON_AGAIN;
	device->reset_step = RESTING;
	snprintf(error, ERROR_BYTES, "%s: neither halted nor ready after %d ms", device->name, RESET_MS_MAX);
	return BATON_FAILED;
}

const struct model XHCI = { 0x1b36, 0x000d, "generic-xhci", idle, reset };
